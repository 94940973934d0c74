"""The live app: a Gradio app that predicts on photos, the camera, videos, folders and private sets, alone
(`ferscope live`) or inside the workbench.

One file draws one tab: `photo`, `camera`, `teach`, `video`, `folder`, `compare`; `app` puts them together. All share the choices
above them (`controls`), the same way to predict, and the limits of `uploads`. Nothing that is uploaded outlives its
quarter of an hour: no flagging, no history, no analytics, and the folder of temporary files goes with the program.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read while gradio is imported, so before any module below

from dashboard.live.app import build, launch, start

__all__ = ["build", "launch", "start"]
