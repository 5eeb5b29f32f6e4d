// Beside the picture: what was found, what of it is shown, and how.

const MOST_REVEALED = 5; // hidden objects that one click shows

class Panel {
    /**
     * @param {Choice} choice the viewer's
     * @param {{changed: () => void, choose: (index: number | null) => void, hover: (index: number | null) => void}} listeners
     */
    constructor(choice, listeners) {
        this.choice = choice;
        this.listeners = listeners;
        this.status = make("p", {id: "status", class: "pr-status", role: "status"});
        this.more = make("button", {type: "button", id: "more", class: "pr-more", hidden: true, on: {click: () => this._reveal()}});
        this.list = make("ul", {id: "found", class: "pr-list", "aria-label": "Objects"});
        this.categories = make("div", {id: "categories", class: "pr-categories", role: "group", "aria-label": "Categories"});
        const share = (value) => percent(value);
        this.threshold = makeSlider("Score threshold", {min: 0.05, max: 0.95, step: 0.01, value: choice.threshold}, share, (value) => {
            choice.threshold = value;
            listeners.changed();
        }, "threshold");
        const opacity = makeSlider("Opacity of the masks", {min: 0, max: 1, step: 0.05, value: choice.opacity}, share, (value) => {
            choice.opacity = value;
            listeners.changed();
        }, "opacity");
        const labels = makeBar("Labels", ["On", "On hover", "Off"], choice.labels, (value) => {
            choice.labels = value;
            listeners.changed();
        });
        labels.id = "labels";
        this.element = make("aside", {class: "pr-panel pr-waiting", "aria-label": "Objects and how they are shown"},
            make("h2", {class: "pr-unseen", text: "Objects"}), this.status, this.more, this.list, this.categories, this.threshold, opacity,
            make("div", {class: "pr-row"}, make("span", {text: "Labels", "aria-hidden": "true"}), labels));
    }

    /** @param {Scene} scene */
    show(scene) {
        this.scene = scene;
        // Until the first result its controls are unseen: what stands above them would push them down.
        if (!scene.isPending) this.element.classList.remove("pr-waiting");
        this.update();
    }

    /** Say what is visible; the list's rows are kept where they stay the same, so that the keyboard's focus stays too. */
    update() {
        const {scene, choice} = this;
        if (!scene) return;
        const above = scene.above(choice.threshold);
        this.status.replaceChildren(...this._summary(scene.visible(choice)));
        this._updateMore(above);
        const categories = [...new Set(above.map((index) => scene.objects[index].category))];
        this._keep(this.categories, categories, (name) => this._category(name), (row, name) => {
            row.firstChild.checked = !choice.closed.has(name);
            const count = above.filter((index) => scene.objects[index].category === name).length;
            row.lastChild.textContent = `${name}${count > 1 ? ` (${count})` : ""}`;
        });
        this._keep(this.list, scene.listed(choice).map(String), (key) => this._row(Number(key)), (row, key) => {
            const index = Number(key), isShown = !scene.hidden.has(index);
            row.classList.toggle("pr-chosen", index === choice.chosen);
            row.classList.toggle("pr-hovered", index === choice.hovered);
            row.querySelector(".pr-name").setAttribute("aria-pressed", String(index === choice.chosen));
            if (!scene.isMap) row.querySelector(".pr-check input").checked = scene.marked.has(index);
            const eye = row.querySelector(".pr-eye");
            eye.setAttribute("aria-pressed", String(isShown));
            eye.title = isShown ? "Hide" : "Show";
        });
    }

    _summary(visible) {
        const {scene, choice} = this;
        if (scene.isPending) return [];
        const took = `${scene.size[0]} x ${scene.size[1]} pixels, ${scene.seconds.toFixed(2)} s on the server`;
        if (visible.includes(choice.chosen)) {
            const {label, score, size, share} = scene.objects[choice.chosen];
            const sure = scene.isMap ? "" : `${percent(score)} sure, `;
            return [make("strong", {text: label}), `: ${sure}${size[0]} x ${size[1]} pixels, ${(100 * share).toFixed(1)} % of the photo. Select it again to show all.`];
        }
        if (!visible.length) return [scene.objects.length ? "Nothing to show at this threshold." : `No objects found (${took}).`];
        const counts = new Map();
        for (const index of visible) {
            const {category} = scene.objects[index];
            counts.set(category, (counts.get(category) ?? 0) + 1);
        }
        const found = [...counts].map(([category, count]) => (scene.isMap ? category : `${count} x ${category}`));
        return [make("strong", {text: `Found ${listed(found, 8)}`}), ` (${took}).`];
    }

    /** What is not seen now, the best first: too low a score, a category that is off, an eye that is closed. */
    _unseen() {
        const visible = new Set(this.scene.visible(this.choice));
        return [...this.scene.objects.keys()].filter((index) => !visible.has(index));
    }

    _updateMore(above) {
        const unseen = this._unseen();
        const named = unseen.slice(0, MOST_REVEALED).map((index) => {
            const {label, category, score} = this.scene.objects[index];
            return this.scene.isMap ? category : `${above.includes(index) ? label : category} ${percent(score)}`;
        });
        const rest = unseen.length - named.length;
        this.more.hidden = !unseen.length;
        const list = listed(rest ? [...named, `${rest} more`] : named, 9);
        this.more.textContent = `${unseen.length} hidden: ${list}. Show ${rest ? `the first ${named.length}` : "them"}`;
    }

    _reveal() {
        const {scene, choice} = this;
        for (const index of this._unseen().slice(0, MOST_REVEALED)) {
            const {category, score} = scene.objects[index];
            if (!scene.isMap && score < choice.threshold) choice.threshold = Math.floor(100 * score) / 100;
            choice.closed.delete(category);
            scene.hidden.delete(index);
        }
        this.threshold.set(choice.threshold);
        this.listeners.changed();
    }

    _category(name) {
        const input = make("input", {type: "checkbox"});
        input.addEventListener("change", () => {
            if (input.checked) this.choice.closed.delete(name);
            else this.choice.closed.add(name);
            this.listeners.changed();
        });
        return make("label", {}, input, make("span"));
    }

    _row(index) {
        const {scene, listeners} = this;
        const {label, category, score, share, colour} = scene.objects[index];
        const swatch = make("span", {class: "pr-swatch", "aria-hidden": "true"});
        swatch.style.background = `rgb(${colour.join()})`;
        const eye = makeButton("", `${label} is shown`, () => {
            if (!scene.hidden.delete(index)) scene.hidden.add(index);
            listeners.changed();
        }, {class: "pr-eye"});
        const name = make("button", {type: "button", class: "pr-name"}, swatch,
            make("span", {class: "pr-label", text: scene.isMap ? category : label}),
            make("span", {class: "pr-score", text: scene.isMap ? "" : percent(score)}),
            make("span", {class: "pr-share", text: `${(100 * share).toFixed(1)} %`, title: "Share of the photo"}));
        name.addEventListener("click", (event) => (event.ctrlKey || event.metaKey || event.shiftKey ? this._mark(index, event.shiftKey) : listeners.choose(index)));
        const check = make("input", {type: "checkbox", "aria-label": `Select ${label}`, title: "Select, to correct several at once"});
        check.addEventListener("click", (event) => this._mark(index, event.shiftKey));
        const row = make("li", {}, scene.isMap ? "" : make("label", {class: "pr-check"}, check), eye, name);
        row.addEventListener("pointerenter", () => listeners.hover(index));
        row.addEventListener("pointerleave", () => listeners.hover(null));
        name.addEventListener("focus", () => listeners.hover(index));
        name.addEventListener("blur", () => listeners.hover(null));
        return row;
    }

    /** Check an object or not; with Shift, all from the last one that was. */
    _mark(index, isRange) {
        const {scene, choice, listeners} = this;
        const rows = scene.listed(choice);
        const from = isRange && this._lastMarked?.scene === scene ? rows.indexOf(this._lastMarked.index) : -1;
        const isOn = from >= 0 || !scene.marked.has(index), to = rows.indexOf(index);
        for (const each of rows.slice(Math.min(from < 0 ? to : from, to), Math.max(from, to) + 1)) {
            if (isOn) scene.marked.add(each);
            else scene.marked.delete(each);
        }
        this._lastMarked = {scene, index};
        listeners.changed();
    }

    _keep(parent, keys, create, update) {
        const scene = this.scene.id;
        const rows = new Map([...parent.children].filter((row) => row.scene === scene).map((row) => [row.key, row]));
        const wanted = keys.map((key) => rows.get(key) ?? Object.assign(create(key), {key, scene}));
        if (wanted.length !== parent.children.length || wanted.some((row, place) => row !== parent.children[place])) {
            parent.replaceChildren(...wanted);
        }
        wanted.forEach((row, place) => update(row, keys[place]));
    }
}
