// Turns the pointer's movements on the stage into window, pan and zoom.

const PIXELS_PER_WIDTH = 300; // dragging this far changes the window by its own width

export function follow(stage, view) {
  let start = null;

  stage.addEventListener("pointerdown", (event) => {
    if (event.button > 2 || event.target.closest("a, button")) return;
    start = { x: event.clientX, y: event.clientY, mode: modeOf(event, view), ...view.snapshot() };
    stage.setPointerCapture(event.pointerId);
    view.dragging = start.mode === "window";
  });

  stage.addEventListener("pointermove", (event) => {
    if (!start) return;
    const dx = event.clientX - start.x;
    const dy = event.clientY - start.y;
    if (start.mode === "pan") view.panTo(start.pan.x + dx, start.pan.y + dy);
    else if (start.mode === "zoom") view.zoomTo(start.zoom * Math.exp(-dy / 200));
    else if (dx || dy) view.windowTo(dragged(start.window, dx, dy));
  });

  const end = () => {
    if (!start) return;
    start = null;
    view.dragging = false;
    view.settle();
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());

  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey || view.count === 1) view.zoomTo(view.zoom * Math.exp(-event.deltaY / 400));
      else view.step(Math.sign(event.deltaY));
    },
    { passive: false },
  );
}

function modeOf(event, view) {
  if (event.button === 1 || event.shiftKey) return "pan";
  if (event.button === 2) return "zoom";
  return view.mode === "window" && view.picture.colour ? "pan" : view.mode;
}

function dragged([center, width], dx, dy) {
  const step = Math.max(width, 20) / PIXELS_PER_WIDTH;
  return [Math.round(center + dy * step), Math.max(1, Math.round(width + dx * step))];
}
