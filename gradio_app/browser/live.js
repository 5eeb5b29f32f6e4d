// The live view: frames go to the page, masks come back and are drawn over the camera's own picture.

const IN_FLIGHT = 2; // while one frame is looked at, the next is on its way
const SAY_EVERY = 2000; // milliseconds, or a screen reader never comes to an end
const ASK_AGAIN = 1000;
const HIDDEN = "Paused while the live view is out of sight.";
const NO_PAGE = "⚠️ The page's server does not respond.";

class LiveView {
    /**
     * @param {HTMLElement} element with the template of gradio_app/live_tab.py
     * @param {{value: string, sent_side: number, minutes: number, palette: [number, number, number][]}} props value is
     *     the model to ask
     */
    constructor(element, props) {
        const find = (selector) => element.querySelector(selector);
        this.element = element;
        this.props = props;
        [this.video, this.overlay, this.status] = [find("video"), find(".stage canvas"), find(".status")];
        [this.toggle, this.turn, this.cameras] = [find(".toggle"), find(".turn"), find(".cameras")];
        this.threshold = find("input");
        this.camera = new Camera(this.video, () => this.stop(GONE));
        this.canvas = document.createElement("canvas");
        this.session = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(36)).join("");
        this.run = null; // what lasts from Start to Stop
        this.toggle.addEventListener("click", () => (this.run ? this.stop() : this.start(this.chosen())));
        this.turn.addEventListener("click", () => this.start({facingMode: {ideal: this.otherSide()}}));
        this.select.addEventListener("change", () => this.start(this.chosen()));
        this.threshold.addEventListener("input", () => {
            find("output").textContent = Number(this.threshold.value).toFixed(2);
        });
        document.addEventListener("visibilitychange", () => this.pump());
    }

    get select() {
        return this.cameras.querySelector("select");
    }

    chosen() {
        return this.select.value ? {deviceId: {exact: this.select.value}} : {facingMode: {ideal: "environment"}};
    }

    otherSide() {
        return this.camera.settings.facingMode === "user" ? "environment" : "user";
    }

    async start(which) {
        this.end();
        const run = {
            number: 0, painted: -1, flying: 0, isFresh: false, again: 0, times: [], said: 0,
            started: performance.now(), aborter: new AbortController(), colours: new Colours(this.props.palette.length),
        };
        this.run = run;
        this.toggle.textContent = "Stop";
        this.say("Waiting for the camera.");
        try {
            await this.camera.open(which);
        } catch (error) {
            if (this.run === run) {
                this.select.value = "";
                this.stop(error.message);
            }
            return;
        }
        if (this.run !== run) return this.run || this.camera.close();
        this.say("The camera is on.");
        this.element.querySelector(".live").classList.add("on");
        this.offerCameras();
        run.clock = setInterval(() => this.look(run), 500);
        this.watchVideo(run);
    }

    /** @param {string} [reason] why; without one the visitor wanted it */
    stop(reason) {
        this.end();
        this.camera.close();
        this.toggle.textContent = "Start";
        this.element.querySelector(".live").classList.remove("on", "stale");
        this.overlay.getContext("2d").clearRect(0, 0, this.overlay.width, this.overlay.height);
        this.say(reason ? `${reason} The camera is off.` : "The camera is off.");
    }

    end() {
        this.run?.aborter.abort();
        clearInterval(this.run?.clock);
        this.run = null;
    }

    async offerCameras() {
        const [devices, {deviceId, facingMode}] = [await this.camera.list(), this.camera.settings];
        const options = devices.map((device, place) => new Option(device.label || `Camera ${place + 1}`, device.deviceId));
        this.select.replaceChildren(...options);
        if (deviceId) this.select.value = deviceId;
        this.cameras.hidden = devices.length < 2;
        this.turn.hidden = devices.length < 2 || !facingMode;
        this.turn.textContent = `Switch to the ${this.otherSide() === "user" ? "front" : "back"} camera`;
    }

    /** Each picture of the camera that is shown is one that may be sent. */
    watchVideo(run) {
        const next = (told) =>
            this.video.requestVideoFrameCallback ? this.video.requestVideoFrameCallback(told) : setTimeout(told, 33);
        const told = () => {
            if (this.run !== run) return;
            run.isFresh = true;
            this.pump();
            next(told);
        };
        next(told);
    }

    /** Twice a second: what no event tells. */
    look(run) {
        if (!this.element.isConnected) return this.stop();
        if (performance.now() - run.started > this.props.minutes * 60000) {
            return this.stop(`Stopped after ${this.props.minutes} minutes. Press Start to go on.`);
        }
        if (this.isHidden) {
            this.say(HIDDEN);
            run.times = [];
        } else if (run.times.length && !run.again) {
            this.report(run);
        }
        this.pump();
    }

    get isHidden() {
        return document.hidden || this.element.offsetParent === null;
    }

    /** Send the newest frame, if one may be sent. */
    pump() {
        const run = this.run;
        if (!run || !run.isFresh || run.flying >= IN_FLIGHT || this.isHidden || !this.video.videoWidth) return;
        // What is wrong is asked about once in a while, and one frame at a time; so is the first one, for a place.
        if ((run.again || run.painted < 0) && (run.flying || performance.now() < run.again)) return;
        run.isFresh = false;
        run.flying++;
        this.send(run, run.number++).finally(() => {
            run.flying--;
            this.pump();
        });
    }

    async send(run, number) {
        let answer;
        try {
            answer = await this.ask(run, number);
        } catch (error) {
            if (run.aborter.signal.aborted) return;
            answer = {error: {code: "page_down", message: NO_PAGE}};
        }
        if (this.run !== run) return;
        if (answer.error) return this.complain(run, answer.error);
        if (number < run.painted) return; // a newer one was faster
        run.painted = number;
        if (run.again) run.times = [];
        run.again = 0;
        run.last = answer;
        run.times.push(performance.now());
        run.times = recent(run.times, performance.now());
        this.paint(run, answer);
        this.report(run);
    }

    async ask(run, number) {
        const {root, api_prefix: prefix} = window.gradio_config;
        const frame = {path: null, url: takeFrame(this.video, this.canvas, this.props.sent_side)};
        const data = [frame, Number(this.threshold.value), this.props.value, number];
        const response = await fetch(`${root}${prefix}/run/frame`, {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({data, session_hash: this.session}),
            signal: run.aborter.signal,
        });
        const tree = await response.json();
        if (response.ok) return tree.data[0];
        const said = tree.error?.message ?? tree.error;
        return {error: {code: "refused", message: `⚠️ ${typeof said === "string" ? said : "The page refused the frame."}`}};
    }

    complain(run, {code, message}) {
        if (code === "live_over") return this.stop(message.replace(/^⚠️ /, ""));
        if (code === "rate_limited") return;
        run.again = performance.now() + ASK_AGAIN;
        this.element.querySelector(".live").classList.add("stale");
        this.say(code === "live_full" ? message.replace(/^⚠️ /, "") : `${message} The live view resumes once it responds.`);
    }

    paint(run, answer) {
        this.element.querySelector(".live").classList.remove("stale");
        const stage = this.overlay.parentElement;
        stage.style.setProperty("--aspect", `${this.video.videoWidth / this.video.videoHeight}`);
        const pixel = Math.min(window.devicePixelRatio || 1, 2);
        const width = Math.round(stage.clientWidth * pixel), height = Math.round(stage.clientHeight * pixel);
        if (this.overlay.width !== width || this.overlay.height !== height) Object.assign(this.overlay, {width, height});
        const colours = run.colours.of(answer.objects).map((number) => this.props.palette[number]);
        paintAnswer(this.overlay, answer, colours, pixel);
    }

    report(run) {
        const now = performance.now();
        if (now - run.said < SAY_EVERY) return;
        run.said = now;
        const found = `${run.last.objects.length} found · ${Math.round(run.last.ms)} ms on the server`;
        this.say([rateSentence(run.times, now), found].filter(Boolean).join(" · "));
    }

    say(text) {
        if (this.status.textContent !== text) this.status.textContent = text;
    }
}
