// Presentation: key F, or the button “Present”, hides all but the answer, in large type and on the whole screen.
// In the workbench's page the app stands in a frame: it says how high it is, and is told when F was pressed outside.
const presenting = () => document.body.classList.contains("presenting");

const shown = () => document.querySelector("main.contain > .column");

const height = () => {
  const content = shown();
  if (content && !presenting()) parent.postMessage({ ferscope: "height", height: Math.ceil(content.offsetHeight) + 90 }, "*");
};

const present = (on) => {
  // Gradio puts its own classes before each rule of the style, so that those inside of its page win.
  for (const element of [document.body, shown()]) element.classList.toggle("presenting", on);
  height();
};

window.togglePresentation = async () => {
  const on = !presenting();
  present(on);
  if (!on && document.fullscreenElement) await document.exitFullscreen();
  else if (!on) parent.postMessage({ ferscope: "left" }, "*"); // it is the frame that fills the screen
  // A browser may refuse the whole screen. Then the presentation fills the window.
  if (on) await document.documentElement.requestFullscreen().catch(() => undefined);
};

const writes = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, [contenteditable=true]");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
  if (event.key === "f" || event.key === "F") document.querySelector(".present")?.click();
  else if (event.key === "Escape" && presenting()) present(false);
});

let whole = false;
document.addEventListener("fullscreenchange", () => {
  if (whole && !document.fullscreenElement) present(false); // left by Escape, which the browser keeps to itself
  whole = Boolean(document.fullscreenElement);
});

if (parent !== window) {
  addEventListener("message", (event) => {
    if (event.source === parent && event.data?.ferscope === "present" && event.data.on !== presenting())
      document.querySelector(".present")?.click();
  });
  const watch = new ResizeObserver(height);
  const started = setInterval(() => {
    if (!shown()) return;
    clearInterval(started);
    watch.observe(shown());
  }, 100);
}
