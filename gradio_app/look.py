"""How the page looks: Gradio's own theme, in system fonts, with what phones need."""

from __future__ import annotations

import gradio as gr

from gradio_app.browser import style

# System fonts: the default theme would fetch its own from elsewhere.
THEME = gr.themes.Soft(
    primary_hue="indigo",
    font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(  # Soft's own have a contrast below 4.5:1
    body_text_color_subdued="*neutral_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*primary_700",
    block_label_text_color_dark="*primary_50",
    block_title_text_color="*primary_700",
    block_title_text_color_dark="*primary_50",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
    link_text_color_hover="*primary_800",
    link_text_color_hover_dark="*primary_200",
    link_text_color_visited="*primary_700",
    link_text_color_visited_dark="*primary_300",
)
# Full width, or the container takes its content's and a phone has to scroll sideways.
STYLE = """
:root {--color-accent: #4338ca}
.dark {--color-accent: #a5b4fc}
.gradio-container {max-width: 1320px !important; width: 100% !important; margin: 0 auto !important;
    padding-top: 8px !important}
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
#header {align-items: center}
#header h1 {margin: 0; font-size: 24px}
#header p {margin: 0}
#server-state {text-align: right; align-self: center}
@media (max-width: 640px) {
    .gradio-container {padding: 8px !important}
    #tabs > .tab-wrapper .tab-container button {padding: 0 7px}
}
""" + style("viewer")
