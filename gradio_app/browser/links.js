// Addresses of tabs and examples, so that they can be sent to others and Back does not leave the page.

const TABS = {image: 0, live: 1, how: 2, video: 3};

/**
 * Keep the address and the page in step.
 * @param {{showExample: (key: string) => void}} listeners
 */
function wireLinks({showExample}) {
    const buttons = () => [...document.querySelectorAll("#tabs [role=tab]")];
    const fragment = () => decodeURIComponent(location.hash.slice(1));
    const follow = () => {
        const [tab, example] = fragment().split("/");
        const button = buttons()[TABS[tab] ?? 0];
        if (button && button.getAttribute("aria-selected") !== "true") button.click();
        if (example) showExample(example);
    };
    document.addEventListener("click", (event) => {
        const button = event.target.closest?.("#tabs [role=tab]");
        if (!button || !event.isTrusted) return; // our own click follows the address
        const tab = Object.keys(TABS)[buttons().indexOf(button)];
        if (tab && fragment().split("/")[0] !== tab) history.pushState(null, "", `#${tab}`);
    });
    window.addEventListener("popstate", follow);
    return {
        follow,
        example: () => fragment().split("/")[1],
        push: (example) => {
            const address = `#image/${encodeURIComponent(example)}`;
            if (location.hash !== address) history.pushState(null, "", address);
        },
        clear: () => {
            if (location.hash.includes("/")) history.pushState(null, "", "#image");
        },
    };
}
