// The camera: one frame after the other, as fast as they are answered.

const WANTED = { video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } }, audio: false };

/**
 * Show the camera in `video` and hand its frames to `take`, which answers each, until the returned function is called. If the
 * camera or an answer fails, `fail` is told the error.
 */
export async function watch(video, take, fail) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("This browser gives no camera to this page. Open it from https or from localhost, or open a photo.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new Error(
      error.name === "NotAllowedError"
        ? "The camera was not allowed. Allow it in the address bar and start again, or open a photo."
        : `No camera was found (${error.message}). Connect one, or open a photo.`,
    );
  }
  let running = true;
  const stop = () => {
    running = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  const failed = (error) => {
    stop();
    fail(error);
  };
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () => failed(new Error("The camera was disconnected. Connect it and start it again, or open a photo.")));
  }
  video.srcObject = stream;
  await video.play();
  (async () => {
    let next = frame(video);
    while (running) {
      const bitmap = await next;
      next = frame(video); // is taken while this one is answered
      if (running) await take(bitmap).catch(failed);
    }
  })();
  return stop;
}

// The next frame that is shown. A hidden page shows none, so that it uses no power.
async function frame(video) {
  await new Promise((resolve) => {
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
  return createImageBitmap(video);
}
