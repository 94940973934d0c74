# The workbench in a container: `docker compose up`, then http://localhost:8501.
FROM python:3.13-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# An index with torch's wheels without CUDA makes the image smaller by its CUDA libraries: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir /wheels/*.whl
RUN useradd --create-home --uid 1000 ferscope && install --directory --owner ferscope --group ferscope /workspace
ENV FERSCOPE_HOME=/workspace
VOLUME /workspace
USER ferscope
WORKDIR /home/ferscope
EXPOSE 8501
HEALTHCHECK --start-period=60s --timeout=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://localhost:8501/_stcore/health', timeout=5)"]
CMD ["ferscope", "open", "--host", "0.0.0.0", "--no-browser"]
