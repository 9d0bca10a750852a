// Turns pointers, fingers and the wheel on a stage into window, pan, zoom and scrolling.

const PIXELS_PER_WIDTH = 300; // dragging this far changes the window by its own width
const PIXELS_PER_PICTURE = 14;
const WHEEL_STEP = 60; // a notch gives 100 and more, a touch pad many small ones
const LINE = 40;

export function follow(pane) {
  const { stage } = pane;
  const fingers = new Map();
  let start = null;

  stage.addEventListener("pointerdown", (event) => {
    if (event.button > 2 || event.target.closest("a, button, form, iframe, video")) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    stage.setPointerCapture(event.pointerId);
    start = begin(pane, event, fingers);
    pane.dragging = start.mode === "window";
  });

  stage.addEventListener("pointermove", (event) => {
    if (!start || !fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (start.mode === "pinch") pinch(pane, start, fingers);
    else drag(pane, start, event.clientX - start.x, event.clientY - start.y);
  });

  const end = (event) => {
    fingers.delete(event.pointerId);
    if (!start) return;
    start = null;
    pane.dragging = false;
    pane.settle();
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  followWheel(pane);
}

function begin(pane, event, fingers) {
  const { zoom, pan, position } = pane;
  const kept = { zoom, pan: { ...pan }, position, window: pane.effectiveWindow };
  if (fingers.size === 2) return { mode: "pinch", ...kept, ...spread(fingers) };
  return { mode: modeOf(event, pane), x: event.clientX, y: event.clientY, ...kept };
}

function drag(pane, start, dx, dy) {
  if (start.mode === "pan") pane.panTo(start.pan.x + dx, start.pan.y + dy);
  else if (start.mode === "zoom") pane.zoomTo(start.zoom * Math.exp(-dy / 200));
  else if (start.mode === "scroll") {
    const wanted = start.position + Math.round(dy / PIXELS_PER_PICTURE);
    pane.goTo(Math.min(pane.count, Math.max(1, wanted)));
  } else if (dx || dy) pane.windowTo(dragged(start.window, dx, dy));
}

function spread(fingers) {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
}

function pinch(pane, start, fingers) {
  if (fingers.size < 2) return;
  const { x, y, apart } = spread(fingers);
  pane.panTo(start.pan.x + x - start.x, start.pan.y + y - start.y);
  pane.zoomTo((start.zoom * apart) / start.apart);
}

function followWheel(pane) {
  let turned = 0;
  pane.stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const moved = event.deltaY * (event.deltaMode === 1 ? LINE : 1);
      if (event.ctrlKey || pane.count === 1) {
        pane.zoomTo(pane.zoom * Math.exp(-moved / 400));
        return;
      }
      turned = Math.sign(turned) === Math.sign(moved) ? turned + moved : moved;
      if (Math.abs(turned) < WHEEL_STEP) return;
      turned = 0;
      pane.step(Math.sign(moved));
    },
    { passive: false },
  );
}

function modeOf(event, pane) {
  if (event.button === 1 || event.shiftKey) return "pan";
  if (event.button === 2) return "zoom";
  return pane.mode === "window" && pane.picture.colour ? "pan" : pane.mode;
}

function dragged([center, width], dx, dy) {
  const step = Math.max(width, 20) / PIXELS_PER_WIDTH;
  return [Math.round(center + dy * step), Math.max(1, Math.round(width + dx * step))];
}
