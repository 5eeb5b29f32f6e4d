"""How the page looks: Gradio's own theme, in system fonts, with what phones need."""

from __future__ import annotations

import gradio as gr

# System fonts: the default theme would fetch its own from elsewhere.
THEME = gr.themes.Soft(
    primary_hue="indigo",
    font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
)
# Full width, or the container takes its content's and a phone has to scroll sideways.
STYLE = """
.gradio-container {max-width: 1180px !important; width: 100% !important; margin: 0 auto !important}
.light::before {content: ""; display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.5em;
    border-radius: 50%; background: #9ca3af}
.light.ready::before {background: #16a34a}
.light.loading::before {background: #eab308}
.light.restarting::before {background: #eab308}
.light.overloaded::before {background: #f97316}
.light.down::before {background: #dc2626}
#page-lost {display: none}
#page-lost.lost {display: block}
#page-lost.lost + #server-state {display: none}
#live img {width: 100%; height: 100%; object-fit: contain}
#cutouts img {background: repeating-conic-gradient(#8883 0% 25%, transparent 0% 50%) 0 / 16px 16px}
@media (max-width: 640px) {
    .gradio-container {padding: 8px !important}
    #photo, #result, #cutouts, #camera, #live, #how-picture {height: 340px !important}
}
"""
