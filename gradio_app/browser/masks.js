// Masks as the server sends them, made into pictures that a canvas draws at once.

/**
 * The runs of COCO's compressed form: empty and filled pixels in turn, down the columns, the empty ones first.
 * @param {string} counts five bits a character, each run but the first two as its difference to the one before the last
 * @returns {number[]}
 */
function decodeRuns(counts) {
    const runs = [];
    for (let place = 0; place < counts.length; ) {
        let value = 0, shift = 0, bits;
        do {
            bits = counts.charCodeAt(place++) - 48;
            value += (bits & 31) * 2 ** shift;
            shift += 5;
        } while (bits & 32);
        if (bits & 16) value -= 2 ** shift;
        if (runs.length > 2) value += runs[runs.length - 2];
        runs.push(value);
    }
    return runs;
}

/**
 * A mask inside the smallest window that holds it.
 * @typedef {{x: number, y: number, width: number, height: number, data: Uint8Array}} MaskWindow data is 1 inside, row
 *     by row
 */

/**
 * Decode a mask.
 * @param {{size: [number, number], counts: string}} rle its size is [height, width]
 * @returns {MaskWindow | null} null for an empty mask
 */
function decodeMask(rle) {
    const height = rle.size[0];
    const runs = decodeRuns(rle.counts);
    let left = Infinity, right = -1, top = height, bottom = -1;
    for (let index = 0, place = 0; index < runs.length; place += runs[index++]) {
        if (index % 2 === 0 || !runs[index]) continue;
        const last = place + runs[index] - 1;
        const first = Math.floor(place / height), end = Math.floor(last / height);
        left = Math.min(left, first);
        right = Math.max(right, end);
        top = first === end ? Math.min(top, place % height) : 0;
        bottom = first === end ? Math.max(bottom, last % height) : height - 1;
    }
    if (right < 0) return null;
    const width = right - left + 1, rows = bottom - top + 1;
    const data = new Uint8Array(width * rows);
    for (let index = 0, place = 0; index < runs.length; place += runs[index++]) {
        if (index % 2 === 0) continue;
        for (let pixel = place; pixel < place + runs[index]; pixel++) {
            data[((pixel % height) - top) * width + Math.floor(pixel / height) - left] = 1;
        }
    }
    return {x: left, y: top, width, height: rows, data};
}

/**
 * Whether a pixel of the image is in a mask.
 * @param {MaskWindow} mask
 * @param {number} x
 * @param {number} y
 */
function isInside(mask, x, y) {
    const column = x - mask.x, row = y - mask.y;
    return column >= 0 && row >= 0 && column < mask.width && row < mask.height && mask.data[row * mask.width + column] === 1;
}

/**
 * A canvas of a mask's window in one colour, clear outside the mask.
 * @param {MaskWindow} mask
 * @param {[number, number, number]} colour
 * @param {number} line 0 fills the mask; otherwise only pixels this near to its outline, inside it, are coloured
 */
function paintMask(mask, colour, line = 0) {
    const {width, height, data} = mask;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const word = (255 << 24) | (colour[2] << 16) | (colour[1] << 8) | colour[0]; // browsers run on little-endian machines
    const kept = line ? outline(mask, line) : data;
    for (let place = 0; place < kept.length; place++) if (kept[place]) words[place] = word;
    context.putImageData(image, 0, 0);
    return canvas;
}

/**
 * The pixels of a mask that lie within some pixels of its edge: the mask without itself eroded, one pixel at a time.
 * @param {MaskWindow} mask
 * @param {number} line in pixels
 */
function outline(mask, line) {
    const {width, height, data} = mask;
    let core = data;
    for (let step = 0; step < line; step++) {
        const eroded = new Uint8Array(core.length);
        for (let row = 1; row < height - 1; row++) {
            for (let place = row * width + 1; place < (row + 1) * width - 1; place++) {
                eroded[place] = core[place] & core[place - 1] & core[place + 1] & core[place - width] & core[place + width];
            }
        }
        core = eroded;
    }
    return data.map((inside, place) => inside & (core[place] ^ 1));
}
