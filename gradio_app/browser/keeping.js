// What this browser remembers of its results: the names by which the server gives them back, until it deletes them.

const KEPT_KEY = "pointrend-results";

/** @returns {{id: string, until: number}[]} those that the server may still have */
function keptResults() {
    try {
        const kept = JSON.parse(localStorage.getItem(KEPT_KEY) ?? "[]");
        return kept.filter(({id, until}) => typeof id === "string" && until > Date.now());
    } catch {
        return []; // the browser keeps nothing, or something else wrote there
    }
}

/** @param {string} id of a result  @param {number} seconds for which the server keeps it */
function keepResult(id, seconds) {
    writeResults([...keptResults().filter((kept) => kept.id !== id), {id, until: Date.now() + 1000 * seconds}]);
}

/** @param {string[]} ids to forget */
function forgetResults(ids) {
    writeResults(keptResults().filter(({id}) => !ids.includes(id)));
}

function writeResults(kept) {
    try {
        localStorage.setItem(KEPT_KEY, JSON.stringify(kept.slice(-20)));
    } catch {
        // A browser that keeps nothing shows the first example after a reload.
    }
}
