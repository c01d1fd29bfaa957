//! Draws the live view of a recording as a picture, after some keys were pressed:
//! `screenshot RECORDING WIDTHxHEIGHT "KEYS" OUTPUT.svg`. `cargo xtask screenshots` makes all of the documents'.

use std::{fmt::Write as _, fs, ops::ControlFlow, path::Path};

use anyhow::{Context as _, bail};
use devres_tracer::{
    rules::RuleSet,
    source::recording::Recording,
    tui::{Session, Sight, configuration::Configuration, theme::Ability},
};
use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
};

/// The size of one character in the picture.
const CELL: (f32, f32) = (8.4, 18.0);
/// The frame around the screen.
const MARGIN: f32 = 12.0;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d6d9e0";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recording, size, keys, output] = &arguments[..] else {
        bail!("usage: screenshot RECORDING WIDTHxHEIGHT KEYS OUTPUT.svg");
    };
    let (width, height) = size.split_once('x').context("a size is such as 100x30")?;
    let area = Rect::new(0, 0, width.parse()?, height.parse()?);
    let mut recording = Recording::open(Path::new(recording))?;
    let mut session = Session::new(
        Sight::Recording("pvpanic, Linux 6.1".to_owned()),
        recording.information().clone(),
        RuleSet::checked(),
        Configuration::new(Ability::full()),
    );
    recording.for_each(|event| {
        session.take(event.clone());
        ControlFlow::Continue(())
    })?;
    session.end();
    let mut buffer = Buffer::empty(area);
    session.draw(&mut buffer);
    session.press(keys)?;
    buffer.reset();
    session.draw(&mut buffer);
    fs::write(output, picture(&buffer)).with_context(|| format!("{output} can't be written"))?;
    Ok(())
}

/// The screen as SVG: runs of cells that look alike become one piece of text each.
fn picture(buffer: &Buffer) -> String {
    let area = buffer.area;
    let width = f32::from(area.width) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(area.height) * CELL.1 + 2.0 * MARGIN;
    let mut backgrounds = String::new();
    let mut texts = String::new();
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let style = look(&buffer[(x, y)]);
            let first = x;
            let mut text = String::new();
            while x < area.width && look(&buffer[(x, y)]) == style {
                text.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            let left = MARGIN + f32::from(first) * CELL.0;
            let top = MARGIN + f32::from(y) * CELL.1;
            let length = f32::from(x - first) * CELL.0;
            if style.background != BACKGROUND {
                // Writing to a string can't fail.
                let _ = writeln!(
                    backgrounds,
                    r#"<rect x="{left:.1}" y="{top:.1}" width="{length:.1}" height="{:.1}" fill="{}"/>"#,
                    CELL.1, style.background
                );
            }
            if text.trim().is_empty() {
                continue;
            }
            let weight = if style.bold {
                r#" font-weight="bold""#
            } else {
                ""
            };
            let _ = writeln!(
                texts,
                r#"<text x="{left:.1}" y="{:.1}" textLength="{length:.1}" fill="{}"{weight}>{}</text>"#,
                top + CELL.1 * 0.75,
                style.foreground,
                escaped(&text)
            );
        }
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}">
<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>
{backgrounds}<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">
{texts}</g>
</svg>
"#
    )
}

#[derive(PartialEq, Eq)]
struct Look {
    foreground: &'static str,
    background: &'static str,
    bold: bool,
}

fn look(cell: &Cell) -> Look {
    let (mut foreground, mut background) = (
        colour(cell.fg).unwrap_or(FOREGROUND),
        colour(cell.bg).unwrap_or(BACKGROUND),
    );
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut foreground, &mut background);
    }
    Look {
        foreground,
        background,
        bold: cell.modifier.contains(Modifier::BOLD),
    }
}

/// As a terminal with a dark background shows them; `None` for the terminal's own.
fn colour(colour: Color) -> Option<&'static str> {
    Some(match colour {
        Color::Black => "#16181d",
        Color::Red | Color::LightRed => "#f0616d",
        Color::Green | Color::LightGreen => "#8cc570",
        Color::Yellow | Color::LightYellow => "#e2b64d",
        Color::Blue => "#2f5fa8",
        Color::LightBlue => "#61a8ff",
        Color::Magenta | Color::LightMagenta => "#c58af9",
        Color::Cyan | Color::LightCyan => "#4fc1c9",
        Color::Gray => "#aab0bc",
        Color::DarkGray => "#747b8a",
        Color::White => "#ffffff",
        _ => return None,
    })
}

/// Ordinary spaces would be drawn as one, whatever the picture asks for: not every browser keeps them.
fn escaped(text: &str) -> String {
    text.replace(' ', "\u{a0}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
