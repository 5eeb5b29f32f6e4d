// Correcting a result: objects are deleted, renamed, merged and split, by the server, and the last step is undone.

const HINT = "Something wrong? Select objects to correct them.";
const HOW_TO_MARK = "check them in the list, or click them there with Ctrl or Shift";

class Edits {
    /** @param {Viewer} viewer whose panel, jobs and results it uses */
    constructor(viewer) {
        this.viewer = viewer;
        const button = (name, hint, press) => makeButton(name, hint, press, {class: "pr-button", id: `edit-${name.toLowerCase()}`, "aria-label": null});
        this.buttons = {
            delete: button("Delete", "Delete what is selected (Delete key in the list)", () => this._delete()),
            merge: button("Merge", "Make one object of those that are selected", () => this._merge()),
            split: button("Split", "Make an object of each connected part", () => this._split()),
            undo: button("Undo", "Undo the last correction (Ctrl-Z in the list)", () => this._undo()),
            rename: button("Rename", "Give what is selected the chosen category", () => this._rename()),
        };
        this.category = make("select", {id: "edit-category", class: "pr-button", "aria-label": "New category"});
        this.about = make("p", {class: "pr-about"});
        this.note = make("p", {id: "edit-note", role: "status"});
        const {rename, ...others} = this.buttons;
        this.element = make("div", {id: "edits", class: "pr-edits", role: "group", "aria-label": "Corrections", hidden: true}, this.about,
            make("div", {class: "pr-row"}, ...Object.values(others)), make("div", {class: "pr-row"}, this.category, rename), this.note);
        viewer.panel.list.after(this.element);
        viewer.panel.list.addEventListener("keydown", (event) => this._key(event));
    }

    /** Places of the objects that a correction is of: those checked in the list, otherwise the one singled out. */
    selected() {
        const {scene, choice} = this.viewer;
        const rows = scene.listed(choice);
        const marked = rows.filter((index) => scene.marked.has(index));
        return marked.length ? marked : rows.filter((index) => index === choice.chosen);
    }

    update() {
        const {scene} = this.viewer;
        this.element.hidden = !scene || scene.isPending || scene.isMap || !(scene.objects.length || scene.edits);
        if (this.element.hidden) return;
        const wasFocused = this.element.contains(document.activeElement);
        if (scene !== this._scene) this.note.textContent = "";
        this._scene = scene;
        const places = this.selected(), count = places.length;
        this._offer(places);
        const isIdle = !count && !scene.edits; // then a hint is enough, and the buttons take no room
        this.element.classList.toggle("pr-idle", isIdle);
        this.about.textContent = isIdle ? HINT : `Correct ${count > 1 ? `${count} objects` : count ? scene.objects[places[0]].label : "objects: select them in the list"}`;
        const isFit = {delete: count > 0, rename: count > 0, merge: count > 1, split: count === 1, undo: scene.edits > 0};
        for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-disabled", String(!isFit[name]));
        if (wasFocused && isIdle) this.viewer.panel.list.querySelector(".pr-name")?.focus(); // its button has gone
    }

    /** Fill the categories in, and choose that of what is selected. */
    _offer(places) {
        const {scene} = this.viewer;
        const key = [scene.id, ...places].join();
        if (key === this._offered) return; // what the visitor is choosing stays
        this._offered = key;
        const names = scene.categories.join("\n");
        if (names !== this._names) {
            this._names = names;
            this.category.replaceChildren(make("option", {value: "", text: "New category"}), ...scene.categories.map((name) => make("option", {value: name, text: name})));
        }
        const own = [...new Set(places.map((index) => scene.objects[index].category))];
        this.category.value = own.length === 1 && scene.categories.includes(own[0]) ? own[0] : "";
    }

    _delete(places = this.selected()) {
        if (!places.length) return this._say(`Select objects to delete: ${HOW_TO_MARK}.`);
        this._ask({delete: places}, `Deleted ${this._names_of(places)}.`);
    }

    _rename() {
        const places = this.selected(), category = this.category.value;
        if (!places.length) return this._say(`Select objects to rename: ${HOW_TO_MARK}.`);
        if (!category || places.every((index) => this.viewer.scene.objects[index].category === category)) {
            return this._say("Choose another category first.");
        }
        this._ask({rename: places, category}, `Renamed ${this._names_of(places)} to ${category}.`);
    }

    _merge() {
        const places = this.selected();
        if (places.length < 2) return this._say(`Select two objects or more to merge: ${HOW_TO_MARK}.`);
        this._ask({merge: places}, `Merged ${this._names_of(places)}.`);
    }

    _split() {
        const places = this.selected();
        if (places.length !== 1) return this._say("Select one object to split.");
        this._ask({split: places[0]}, `Split ${this._names_of(places)}.`);
    }

    _undo() {
        if (!this.viewer.scene.edits) return this._say("There is no correction to undo.");
        this._ask({undo: true}, "Undone.");
    }

    _names_of(places) {
        return listed(places.map((index) => this.viewer.scene.objects[index].label), 5);
    }

    _say(sentence) {
        this.note.textContent = sentence;
    }

    /** In the list, Delete deletes the row's object, or all that are checked if it is one of them; Ctrl-Z undoes. */
    _key(event) {
        if (this.element.hidden) return; // the regions of a semantic model
        const row = event.target.closest("li");
        if (event.key === "Delete" && row) {
            const index = Number(row.key);
            this._delete(this.viewer.scene.marked.has(index) ? this.selected() : [index]);
        } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) this._undo();
        else return;
        event.preventDefault();
    }

    /** Have the server make a correction; `done` says it. */
    _ask(edit, done) {
        const {viewer} = this;
        const {scene} = viewer;
        if (scene.isPending || [viewer.jobs.current, ...viewer.jobs.waiting].some((job) => job?.derives === scene)) return;
        viewer.say("");
        const job = viewer.jobs.add(scene.name, async (job) => {
            viewer.jobs.reach("masks");
            viewer.send("edit", {ticket: job.ticket, of: scene.id, edit});
        });
        deriveResult(viewer, job, (corrected) => {
            const rows = [...viewer.panel.list.children];
            const focused = rows.findIndex((row) => row.contains(document.activeElement));
            showDerived(viewer, corrected, scene);
            if (edit.category) viewer.choice.closed.delete(edit.category); // a new name hides nothing
            viewer.changed();
            this._say(done);
            const left = viewer.panel.list.children;
            if (focused >= 0) (left[Math.min(focused, left.length - 1)]?.querySelector(".pr-name") ?? this.buttons.undo).focus();
        });
    }
}

/**
 * Let a job's result take the place of the one that is shown, of the same photo.
 * @param {Viewer} viewer
 * @param {Job} job
 * @param {(scene: Scene) => void} present shows it
 */
function deriveResult(viewer, job, present) {
    const {scene} = viewer;
    const {id, name, size, screen, photo} = scene;
    const replaces = viewer.photos.find((each) => each.scene?.id === id); // none of an example
    Object.assign(job, {isFirst: true, derives: scene, replaces, present, preview: {name, size, screen, photo: photo.src}});
}

/** Show a result that was made of another: what was hidden, checked and singled out stays so. */
function showDerived(viewer, scene, before) {
    const {choice} = viewer;
    const {closed, chosen} = choice;
    if (before.example) viewer.links.clear(); // the address is of what the model found, which a reload would show
    const follow = (places) => new Set([...scene.origins.keys()].filter((index) => places.has(scene.origins[index])));
    scene.hidden = follow(before.hidden);
    scene.marked = follow(before.marked);
    viewer.show(scene);
    const place = chosen === null ? -1 : scene.origins.indexOf(chosen);
    Object.assign(choice, {closed, chosen: place < 0 ? null : place});
}
