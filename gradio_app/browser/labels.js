// Where names go: beside the objects' upper edges, never over one another.

const LABEL_FONT = "600 13px system-ui, sans-serif";
const LABEL_HEIGHT = 20;

/**
 * A box on the screen, in CSS pixels.
 * @typedef {{x: number, y: number, width: number, height: number}} ScreenBox
 */

/**
 * Find a place for each label; one that finds none is left out, its object is named when it is pointed at.
 * @param {{text: string, box: ScreenBox, width: number}[]} wanted most important first; box is the object's on the screen
 * @param {{width: number, height: number}} stage
 * @param {(x: number, y: number) => boolean} isCovered whether an object lies at a place of the screen
 * @returns {(ScreenBox | null)[]} a place for each
 */
function placeLabels(wanted, stage, isCovered) {
    const taken = [];
    return wanted.map(({box, width}) => {
        const candidates = candidatePlaces(box, width).filter(
            (place) => place.x >= 0 && place.y >= 0 && place.x + place.width <= stage.width && place.y + place.height <= stage.height,
        );
        const free = candidates.filter((place) => !taken.some((other) => overlap(place, other)));
        if (!free.length) return null;
        // The one that hides least of the objects; of equals the first, which is nearest to its object's top.
        const best = free.map((place) => [covered(place, isCovered), place]).reduce((a, b) => (b[0] < a[0] ? b : a))[1];
        taken.push(best);
        return best;
    });
}

function candidatePlaces(box, width) {
    const height = LABEL_HEIGHT;
    const rows = [box.y - height - 2, box.y + box.height + 2, box.y + 4, box.y + box.height - height - 4];
    const columns = [box.x, box.x + box.width - width, box.x + (box.width - width) / 2];
    const sides = [box.x - width - 4, box.x + box.width + 4];
    const places = rows.flatMap((y) => columns.map((x) => ({x, y, width, height})));
    for (const x of sides) for (const y of [box.y, box.y + (box.height - height) / 2]) places.push({x, y, width, height});
    return places;
}

function overlap(a, b) {
    return a.x < b.x + b.width + 2 && b.x < a.x + a.width + 2 && a.y < b.y + b.height + 2 && b.y < a.y + a.height + 2;
}

function covered(place, isCovered) {
    let count = 0;
    for (let column = 0; column <= 4; column++) {
        for (let row = 0; row <= 2; row++) {
            count += isCovered(place.x + (place.width * column) / 4, place.y + (place.height * row) / 2);
        }
    }
    return count;
}

/** Black or white, whichever is read better on a colour: by the contrast of WCAG 2. */
function textColour([red, green, blue]) {
    const linear = [red, green, blue].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return luminance > 0.179 ? "#000" : "#fff";
}
