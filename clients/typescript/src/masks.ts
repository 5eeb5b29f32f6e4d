import type { RunLengths } from "./api.js";

/** A mask of a whole image, row by row: 1 inside, 0 outside. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

const MAX_PIXELS = 2 ** 29;

/**
 * Decode COCO's compressed run lengths. Runs go down the columns, empty and filled in turn. A number is written in
 * groups of five bits, the lowest first; from the fourth on it is the difference to the one two before.
 *
 * @throws RangeError if the text is damaged, or the runs do not fill the image.
 */
export function decodeMask({ size: [height, width], counts }: RunLengths): Mask {
  const pixels = height * width;
  if (!Number.isSafeInteger(pixels) || pixels > MAX_PIXELS) {
    throw new RangeError(`A mask of ${width}x${height} pixels is too large: at most ${MAX_PIXELS} are decoded.`);
  }
  const data = new Uint8Array(pixels);
  let place = 0;
  runLengths(counts).forEach((length, index) => {
    if (length < 0 || place + length > pixels) throw new RangeError("The runs of a mask do not fit its image.");
    if (index % 2 === 1) {
      for (let at = place; at < place + length; at++) data[(at % height) * width + Math.floor(at / height)] = 1;
    }
    place += length;
  });
  if (place !== pixels) throw new RangeError("The runs of a mask do not fill its image.");
  return { width, height, data };
}

function runLengths(text: string): number[] {
  const lengths: number[] = [];
  let value = 0;
  let shift = 0;
  for (let index = 0; index < text.length; index++) {
    const group = text.charCodeAt(index) - 48;
    if (group < 0 || group > 63 || shift > 30) throw new RangeError("The runs of a mask are damaged.");
    value += (group & 31) * 2 ** shift;
    shift += 5;
    if (group & 32) continue;
    if (group & 16) value -= 2 ** shift;
    if (lengths.length > 2) value += lengths[lengths.length - 2] ?? 0;
    lengths.push(value);
    value = shift = 0;
  }
  if (shift) throw new RangeError("The runs of a mask end in the middle of a number.");
  return lengths;
}
