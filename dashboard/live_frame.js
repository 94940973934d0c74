// The frame of the live app is as high as what it shows, so that only the page scrolls. F puts it on the whole screen.
if (!window.liveFrame) {
  window.liveFrame = true;
  const frame = () => document.querySelector('iframe[title="Live app"]');
  const tell = (on) => frame()?.contentWindow.postMessage({ ferscope: "present", on }, new URL(frame().src).origin);
  addEventListener("message", (event) => {
    const shown = frame();
    if (!shown || event.source !== shown.contentWindow) return;
    if (event.data?.ferscope === "height") shown.style.height = `${Math.min(Math.max(event.data.height, 500), 6000)}px`;
    if (event.data?.ferscope === "left" && document.fullscreenElement) document.exitFullscreen();
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
    if ((event.key !== "f" && event.key !== "F") || !frame()) return;
    if (document.fullscreenElement) document.exitFullscreen();
    else frame().requestFullscreen().then(() => tell(true), () => undefined);
  });
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement) tell(false);
  });
}
