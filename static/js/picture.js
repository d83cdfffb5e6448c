/** Cuts a square out of a picture: dragged, moved by the arrows, and made larger. */

const SIDE = 256;
const STEP_PX = 8;
const QUALITY = 0.9;

/**
 * Where the square of `side` pixels is in the picture, in its own pixels.
 * @param {{ width: number, height: number }} picture
 * @param {{ x: number, y: number, zoom: number }} view  x and y: which point of the picture is in the middle, from 0 to 1
 */
export function cutOf({ width, height }, { x, y, zoom }) {
  const side = Math.min(width, height) / zoom;
  const from = (middle, length) => Math.min(Math.max(middle * length - side / 2, 0), length - side);
  return { left: from(x, width), top: from(y, height), side };
}

export class PictureCutter {
  #canvas;
  #zoom;
  /** @type {?ImageBitmap} */ #picture = null;
  #view = { x: 0.5, y: 0.5, zoom: 1 };

  /** @param {HTMLCanvasElement} canvas  @param {HTMLInputElement} zoom */
  constructor(canvas, zoom) {
    this.#canvas = canvas;
    this.#zoom = zoom;
    zoom.addEventListener("input", () => {
      this.#view.zoom = Number(zoom.value);
      this.#draw();
    });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#move(-event.movementX, -event.movementY);
    });
    canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      this.#move(way[0] * STEP_PX, way[1] * STEP_PX);
    });
  }

  /** Raises where the browser cannot read it. @param {Blob} file */
  async open(file) {
    this.close();
    this.#picture = await createImageBitmap(file);
    this.#view = { x: 0.5, y: 0.5, zoom: 1 };
    this.#zoom.value = "1";
    this.#draw();
  }

  close() {
    this.#picture?.close();
    this.#picture = null;
  }

  /** What is in the square, in base64. */
  async cut() {
    const blob = (await this.#blob("image/webp")) ?? (await this.#blob("image/png"));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }

  /** @returns {Promise<?Blob>} */
  #blob(type) {
    return new Promise((resolve) => this.#canvas.toBlob(resolve, type, QUALITY));
  }

  /** @param {number} dx of the page's pixels */
  #move(dx, dy) {
    if (!this.#picture) return;
    const { width, height } = this.#picture;
    const { left, top, side } = cutOf(this.#picture, this.#view);
    const scale = side / this.#canvas.getBoundingClientRect().width;
    this.#view.x = (left + side / 2 + dx * scale) / width;
    this.#view.y = (top + side / 2 + dy * scale) / height;
    this.#draw();
  }

  #draw() {
    if (!this.#picture) return;
    const { left, top, side } = cutOf(this.#picture, this.#view);
    const context = this.#canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, SIDE, SIDE);
    context.drawImage(this.#picture, left, top, side, side, 0, 0, SIDE, SIDE);
  }
}
