// The Image tab: ties the picture, the panel and the photos' ways in together, and talks with the server.

class Viewer {
    /**
     * @param {HTMLElement} root where it is laid out
     * @param {Object} props of the component: examples, exports, threshold, keptSeconds, maxBytes, first
     * @param {(event: string, data: Object) => void} send to the server
     * @param {(file: File) => Promise<{path: string}>} upload
     */
    constructor(root, props, send, upload) {
        Object.assign(this, {root, props, send, upload});
        this.choice = {
            view: VIEWS[0], threshold: props.threshold, closed: new Set(), opacity: 0.5, chosen: null, hovered: null,
            labels: "On", effect: EFFECTS[0], colour: "#3b82f6", picture: null, pictureName: "", divider: null,
        };
        this.photos = []; // the visitor's own jobs, in the order of the strip
        this.scene = null;
        this.jobs = new Jobs({progress: (job) => this._progress(job), failed: (job) => this._failed(job)});
        this._layOut();
        wireIntake(root, (files) => this.take(files), (sentence) => this.say(sentence));
        this.links = wireLinks({showExample: (key) => this._showExample(key, false)});
        this.links.follow();
        this._begin();
    }

    _layOut() {
        const listeners = {
            changed: () => this.changed(),
            choose: (index) => {
                this.choice.chosen = index === this.choice.chosen ? null : index;
                this.changed();
            },
            hover: (index) => {
                if (index === this.choice.hovered) return;
                this.choice.hovered = index;
                this.stage.element.classList.toggle("pr-pointing", index !== null);
                this.stage.draw();
                this.panel.update();
            },
        };
        this.stage = new Stage(this.choice, listeners);
        this.panel = new Panel(this.choice, listeners);
        this.effects = new EffectControls(this.choice, () => this.changed(), (sentence) => this.say(sentence));
        this.snapshot = new Snapshot((files) => this.take(files), (sentence) => this.say(sentence));
        this.downloads = makeDownloads(this.props.exports, (kind, all) => this._save(kind, all));
        this.code = new CodePanel(() => this._askCode());
        this.alert = make("p", {id: "alert", class: "pr-alert", role: "alert"});
        this.progress = make("div", {id: "progress", class: "pr-progress", hidden: true}, make("progress", {max: Object.keys(STAGES).length, "aria-label": "Progress"}),
            make("span", {role: "status"}), makeButton("Cancel", "", () => this.cancel(), {class: "pr-button", id: "cancel"}));
        this.divider = make("input", {type: "range", min: 0, max: 1000, value: 500, class: "pr-divider", "aria-label": "Where the untouched photo ends", hidden: true});
        this.divider.addEventListener("input", () => this._divide(this.divider.value / 1000));
        const views = makeBar("View", VIEWS, this.choice.view, (view) => {
            this.choice.view = view;
            this.changed();
        });
        views.id = "view";
        this.compare = makeButton("Compare", "Compare with the photo", () => this._divide(this.choice.divider === null ? 0.5 : null), {class: "pr-button", id: "compare", "aria-pressed": "false"});
        this.adding = new Adding(this);
        this.edits = new Edits(this);
        this.doubt = new DoubtView(this);
        const bar = make("div", {class: "pr-bar", role: "toolbar", "aria-label": "Photo"},
            makeUpload("Choose photos", (files) => this.take(files), {id: "upload"}),
            makeButton("Camera", "Take a photo", () => this.snapshot.open(), {class: "pr-button", id: "snapshot"}),
            makeButton("Find again", "Find the objects of this photo again", () => this._again(), {class: "pr-button", id: "again"}),
            this.adding.button, this.compare, views);
        const zoom = make("div", {class: "pr-zoom", role: "group", "aria-label": "Zoom"},
            makeButton("+", "Zoom in", () => this.stage.zoom(1.5)), makeButton("\u2212", "Zoom out", () => this.stage.zoom(1 / 1.5)),
            makeButton("Fit", "Whole photo", () => this.stage.zoom(0)));
        this.gallery = make("div", {id: "examples", class: "pr-gallery", role: "group", "aria-label": "Examples"});
        for (const example of this.props.examples) {
            this.gallery.append(make("button", {type: "button", title: example.label, "aria-label": `Example: ${example.label}`, "data-key": example.key, on: {click: () => this._showExample(example.key)}},
                make("img", {src: example.thumbnail, alt: ""})));
        }
        this.strip = new Strip((scene) => this.show(scene));
        const frame = make("div", {class: "pr-frame", id: "result"}, this.stage.element, this.divider, zoom, this.progress, make("p", {class: "pr-drop", text: "Drop photos here", "aria-hidden": "true"}));
        this.root.append(make("div", {class: "pr-grid"},
            make("div", {class: "pr-left"}, make("h2", {class: "pr-unseen", text: "Photo"}), bar, this.alert, frame, this.gallery, this.strip.element, this.effects.element, this.doubt.element),
            this.panel.element,
            make("div", {class: "pr-below"}, make("h2", {class: "pr-unseen", text: "Download"}), this.downloads, this.code.element)), this.snapshot.element);
    }

    /** Something of the choice has changed: draw and say it. */
    changed() {
        this.effects.element.hidden = this.choice.view !== "Cut-outs";
        this.downloads.showEffect(this.choice.view === "Cut-outs");
        this.doubt.update();
        this.stage.draw();
        this.panel.update();
        this.edits.update();
        if (this.code.element.open) this._askCode();
    }

    /** Show a sentence until the next photo. */
    say(sentence) {
        this.alert.textContent = sentence;
    }

    /** Show a result. */
    show(scene) {
        const isOther = this.scene?.id !== scene.id;
        this.scene = scene;
        if (isOther) {
            this.adding.leave();
            this.choice.chosen = this.choice.hovered = null;
            if (!scene.isPending) {
                // What the model does not find reliably starts hidden; the sentence about what is hidden tells so.
                const shown = new Set(scene.reliable ?? []);
                this.choice.closed = new Set(shown.size ? scene.objects.map(({category}) => category).filter((name) => !shown.has(name)) : []);
            }
        }
        this.stage.show(scene);
        this.stage.element.setAttribute("aria-label", `${scene.name}. Plus and minus zoom, arrow keys move, 0 shows the whole photo.`);
        this.panel.show(scene);
        for (const button of this.gallery.children) button.setAttribute("aria-current", String(button.dataset.key === scene.example));
        this.strip.mark(scene);
        this.changed();
    }

    /** Take photos in: the first is shown, the others follow one by one. */
    take(files) {
        this.say("");
        const large = files.filter((file) => file.size > this.props.maxBytes);
        const fitting = files.filter((file) => !large.includes(file));
        if (large.length) {
            this.say(`${listed(large.map((file) => file.name))}: larger than ${Math.round(this.props.maxBytes / 2 ** 20)} MB, which is the most that is accepted.`);
        }
        if (fitting.length) this.links.clear();
        fitting.forEach((file, place) => {
            const job = this.jobs.add(file.name, async (job) => {
                this.jobs.reach("uploading");
                const {path} = await this.upload(file);
                if (!this.jobs.of(job.ticket)) return; // cancelled meanwhile
                this.jobs.reach("decoding");
                this.send("photo", {ticket: job.ticket, file: {path}});
            });
            job.isFirst = place === 0;
            this.photos.push(job);
        });
        this._updateStrip();
    }

    cancel() {
        const dropped = this.jobs.cancel();
        this.photos = this.photos.filter((job) => !dropped.includes(job));
        this.send("cancel", {});
        this._updateStrip();
        if (this._before) this.show(this._before);
    }

    /** An answer of the server. */
    async receive(message) {
        if (message?.kind === "restored") return this._restore(message);
        const job = this.jobs.of(message?.ticket);
        // Without a ticket it was refused before anything read that.
        if (message?.kind === "error" && (job || !message.ticket)) return this.jobs.finish(message.message);
        if (!job) return;
        if (job.doubtOf) return this.doubt.receive(job, message);
        const isPending = message.kind === "photo";
        this.jobs.reach(isPending ? "network" : "masks");
        if (isPending) job.preview = message;
        const scene = await Scene.load({...job.preview, ...message, isPending}); // the photo itself is sent once
        if (!this.jobs.of(message.ticket)) return;
        const isSeen = job.isExample || job.isFirst;
        if (isPending) {
            if (!isSeen) return;
            if (this.scene && !this.scene.isPending) this._before = this.scene;
            this.show(scene);
            bringIntoView(this.stage.element);
            return;
        }
        job.scene = scene;
        if (job.replaces) this.photos[this.photos.indexOf(job.replaces)] = job;
        else if (job.derives) this.photos.push(job); // an example is the visitor's own from now on
        if (job.replaces) forgetResults([job.replaces.scene.id]);
        if (!job.isExample) keepResult(scene.id, this.props.keptSeconds);
        this.jobs.finish();
        this._before = scene;
        this._updateStrip();
        if (job.present) job.present(scene);
        else if (isSeen) this.show(scene);
    }

    /** The event ended without an answer: the connection was lost, or the queue is full. */
    lost() {
        this.jobs.finish("The page did not get an answer. Try again in a moment.");
    }

    async _begin() {
        const kept = keptResults();
        if (this.props.first) this.show(await Scene.load({...this.props.first, isPending: true}));
        const example = this.links.example();
        if (kept.length && !example) this.send("restore", {ids: kept.map(({id}) => id)});
        else this._showExample(example ?? this.props.first?.example, false);
    }

    async _restore({results, lost}) {
        forgetResults(lost);
        for (const payload of results) {
            this.photos.push({name: payload.name, stage: "done", scene: await Scene.load(payload)});
        }
        this._updateStrip();
        if (this.photos.length) this.show(this.photos[this.photos.length - 1].scene);
        else this._showExample(this.props.first?.example, false);
    }

    _showExample(key, isPushed = true) {
        const example = this.props.examples.find((each) => each.key === key) ?? this.props.examples[0];
        if (!example) return;
        this.say("");
        if (isPushed) this.links.push(example.key);
        this.jobs.add(example.label, async (job) => {
            this.jobs.reach("decoding");
            this.send("photo", {ticket: job.ticket, example: example.key});
        }, true);
    }

    _again() {
        if (!this.scene) return;
        this.say("");
        if (this.scene.example) {
            this._showExample(this.scene.example, false);
            return;
        }
        const {id, name} = this.scene;
        const old = this.photos.find((job) => job.scene?.id === id);
        const job = this.jobs.add(name, async (job) => {
            this.jobs.reach("decoding");
            this.send("photo", {ticket: job.ticket, again: id});
        });
        job.isFirst = true;
        job.replaces = old; // once it has a result
    }

    _failed(job) {
        this.say(`${job.name}: ${job.error}`);
        this.photos = this.photos.filter((each) => each !== job || each.scene);
        this._updateStrip();
        if (this.scene?.isPending && this._before) this.show(this._before);
        if (job.isExample && !this._before) {
            // The server is still starting: the first example comes as soon as it answers.
            clearTimeout(this._retry);
            this._retry = setTimeout(() => !this.jobs.current && !this._before && this._showExample(this.scene?.example, false), 3000);
        }
    }

    _progress(job) {
        this.progress.hidden = !job;
        if (!job) return;
        const stages = Object.keys(STAGES);
        this.progress.querySelector("progress").value = stages.indexOf(job.stage) + 1;
        const rest = this.jobs.waiting.length;
        this.progress.querySelector("span").textContent = `${STAGES[job.stage]}${rest ? ` (${rest} more to come)` : ""}`;
    }

    _updateStrip() {
        this.strip.update(this.photos, this.scene);
        this.downloads.count(this.photos.filter((job) => job.scene).length);
    }

    _divide(share) {
        this.choice.divider = share;
        this.divider.hidden = share === null;
        if (share !== null) this.divider.value = Math.round(1000 * share);
        this.compare.setAttribute("aria-pressed", String(share !== null));
        this.stage.draw();
    }

    /** What is shown of a result, as the server needs it to draw or export the same. */
    _selection(scene, kind) {
        const {view, threshold, opacity, chosen, effect, colour} = this.choice;
        const visible = scene.visible(this.choice);
        const one = scene === this.scene && visible.includes(chosen) ? chosen : null;
        const kept = kind === "effect" && one !== null ? [one] : visible;
        return {view, threshold, opacity, chosen: one, kept, effect: effect.toLowerCase(), colour};
    }

    async _save(kind, isAll) {
        if (!this.scene || this.scene.isPending) {
            this.say("There is nothing to save yet.");
            return;
        }
        const scenes = isAll ? this.photos.map((job) => job.scene).filter(Boolean) : [this.scene];
        let background = null;
        if (kind === "effect" && this.choice.effect === "Picture" && this.effects.picture) {
            background = {path: (await this.upload(this.effects.picture)).path};
        }
        this.send("save", {kind, background, results: scenes.map((scene) => ({id: scene.id, selection: this._selection(scene, kind)}))});
    }

    _askCode() {
        if (!this.scene || this.scene.isPending) return;
        clearTimeout(this._codeTimer); // a slider that moves asks once, when it rests
        this._codeTimer = setTimeout(() => this.send("code", {
            id: this.scene.id,
            page: location.origin + location.pathname,
            threshold: this.choice.threshold,
            categories: [...new Set(this.scene.visible(this.choice).map((index) => this.scene.objects[index].category))],
        }), 300);
    }
}
