//! A picture that needs no script, for where none may run: what the script draws, at one scale.
//!
//! Colours stand in attributes, because a policy that forbids scripts often forbids styles as well.

use std::io::{self, Write};

use super::{
    data::{Data, DeviceData},
    for_browser,
};
use crate::number::counted;

/// Devices that are drawn.
const MOST_DEVICES: usize = 200;
/// Resources of one device that are drawn as bars; more are drawn as an area as high as there are many.
const MOST_BARS: usize = 60;
/// Rows of bars.
const MOST_ROWS: usize = 12;
/// Findings that are marked on one device.
const MOST_MARKS: usize = 50;
/// Columns of an area.
const COLUMNS: u32 = 250;

const WIDTH: f64 = 1000.0;
/// Where times begin, behind the margin.
const LEFT: f64 = 4.0;
const HEAD: f64 = 18.0;
const ROW: f64 = 6.0;
const AXIS: f64 = 20.0;

const RESOURCE: &str = "#0969da";
const GROUP: &str = "#6e7781";
const ERROR: &str = "#d1242f";
const DOUBT: &str = "#bf8700";

/// A lane and where it is.
struct Lane<'a> {
    device: &'a DeviceData,
    /// The row of each resource; empty where an area is drawn.
    rows: Vec<usize>,
    top: f64,
    height: f64,
}

/// Writes the picture of what there is most to see of.
pub(super) fn write(data: &Data, writer: &mut dyn Write) -> io::Result<()> {
    let mut places: Vec<usize> = (0..data.devices.len()).collect();
    if places.len() > MOST_DEVICES {
        let is_found = |place: usize| data.findings_on(place).next().is_some();
        places.sort_by_key(|place| {
            let resources = data
                .devices
                .get(*place)
                .map_or(0, |device| device.resources.len());
            (!is_found(*place), std::cmp::Reverse(resources))
        });
        places.truncate(MOST_DEVICES);
        places.sort_unstable();
    }
    let mut top = AXIS;
    let mut lanes = Vec::new();
    for place in places {
        let Some(device) = data.devices.get(place) else {
            continue;
        };
        let (rows, depth) = rows(device, data.length);
        let height = HEAD + ROW * f64::from(u8::try_from(depth).unwrap_or(u8::MAX)) + 6.0;
        lanes.push((
            place,
            Lane {
                device,
                rows,
                top,
                height,
            },
        ));
        top += height;
    }
    let hidden = data.devices.len() - lanes.len();
    writeln!(
        writer,
        "<figure id=\"still\">\n<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"Devices over time\" \
         viewBox=\"0 0 {WIDTH} {top:.0}\" width=\"100%\" fill=\"currentColor\" font-family=\"sans-serif\" font-size=\"11\">"
    )?;
    write_axis(data, top, writer)?;
    for (place, lane) in &lanes {
        write_lane(data, *place, lane, writer)?;
    }
    let hidden = if hidden > 0 {
        format!(
            " {} not drawn.",
            counted(hidden as u64, "more device is", "more devices are")
        )
    } else {
        String::new()
    };
    writeln!(
        writer,
        "</svg>\n<figcaption>Devices over time: bars are resources, an area is as high as there are many. Purple is a probe, orange a \
         failed one, pale blue a bound driver, pink an unbind; red and yellow triangles are findings.{hidden} The page's script, \
         where it may run, draws a picture to zoom and search in.</figcaption>\n</figure>"
    )
}

/// The row of each resource, the lowest that is free, and how many there are.
fn rows(device: &DeviceData, length: u64) -> (Vec<usize>, usize) {
    if device.resources.len() > MOST_BARS {
        return (Vec::new(), MOST_ROWS);
    }
    let mut order: Vec<usize> = (0..device.resources.len()).collect();
    order.sort_by_key(|place| device.span(*place, length));
    let mut rows = vec![0; order.len()];
    let mut until: Vec<u64> = Vec::new();
    for place in order {
        let (begin, end) = device.span(place, length);
        let free = until.iter().position(|until| *until <= begin);
        let row = free.unwrap_or(until.len());
        match until.get_mut(row) {
            Some(until) => *until = end.max(begin + 1),
            None => until.push(end.max(begin + 1)),
        }
        if let Some(of) = rows.get_mut(place) {
            *of = row;
        }
    }
    (rows, until.len().min(MOST_ROWS))
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn x(time: u64, data: &Data) -> f64 {
    LEFT + (WIDTH - 2.0 * LEFT) * (time as f64 / data.length.max(1) as f64)
}

fn rectangle(
    writer: &mut dyn Write,
    data: &Data,
    (begin, end): (u64, u64),
    (top, height): (f64, f64),
    look: &str,
    title: &str,
) -> io::Result<()> {
    let left = x(begin, data);
    let width = (x(end, data) - left).max(0.8);
    write!(
        writer,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {look}"
    )?;
    if title.is_empty() {
        writeln!(writer, "/>")
    } else {
        writeln!(writer, "><title>{}</title></rect>", for_browser(title))
    }
}

fn write_axis(data: &Data, bottom: f64, writer: &mut dyn Write) -> io::Result<()> {
    for tick in 0..=4_u64 {
        let time = data.length / 4 * tick;
        let anchor = match tick {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        writeln!(
            writer,
            "<text x=\"{:.1}\" y=\"12\" text-anchor=\"{anchor}\">{}</text>",
            x(time, data),
            for_browser(&data.moment(time))
        )?;
    }
    for (time, count) in data.losses.iter().take(MOST_MARKS) {
        let title = counted(*count, "event lost", "events lost");
        let look = format!("fill=\"{DOUBT}\"");
        rectangle(
            writer,
            data,
            (*time, *time),
            (AXIS, bottom - AXIS),
            &look,
            &title,
        )?;
    }
    Ok(())
}

fn write_lane(
    data: &Data,
    place: usize,
    lane: &Lane<'_>,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let Lane {
        device,
        top,
        height,
        ..
    } = lane;
    for (kind, begin, end) in device.bands.iter().take(1000) {
        let (colour, place) = match *kind {
            "bound" => (
                "fill=\"#0969da\" fill-opacity=\"0.15\"",
                (top + HEAD - 2.0, height - HEAD),
            ),
            "probe" => ("fill=\"#8250df\"", (top + HEAD - 5.0, 4.0)),
            "failed" => ("fill=\"#e16f24\"", (top + HEAD - 5.0, 4.0)),
            _ => ("fill=\"#bf3989\"", (top + HEAD - 5.0, 4.0)),
        };
        rectangle(writer, data, (*begin, *end), place, colour, kind)?;
    }
    if lane.rows.is_empty() {
        write_area(data, lane, writer)?;
    }
    for (number, row) in lane.rows.iter().enumerate() {
        if *row >= MOST_ROWS {
            continue;
        }
        let (label, is_group) = data.label_of(device, number);
        let colour = if is_group { GROUP } else { RESOURCE };
        let look = format!("fill=\"{colour}\"");
        let at = top + HEAD + ROW * f64::from(u8::try_from(*row).unwrap_or(u8::MAX));
        let span = device.span(number, data.length);
        rectangle(writer, data, span, (at, ROW - 1.0), &look, label)?;
    }
    write_marks(data, place, lane, writer)?;
    writeln!(
        writer,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>",
        top + 10.0,
        for_browser(&device.heading())
    )
}

/// Triangles that lead to what they stand for.
fn write_marks(
    data: &Data,
    place: usize,
    lane: &Lane<'_>,
    writer: &mut dyn Write,
) -> io::Result<()> {
    for (finding, time) in data.findings_on(place).take(MOST_MARKS) {
        let colour = if finding.severity == "error" {
            ERROR
        } else {
            DOUBT
        };
        let (at, top) = (x(time, data), lane.top);
        writeln!(
            writer,
            "<a href=\"#{}\"><path d=\"M{at:.1} {:.1}l-5 -11h10z\" fill=\"{colour}\"><title>{}: {}</title></path></a>",
            finding.id,
            top + HEAD - 2.0,
            for_browser(finding.rule),
            for_browser(&crate::escape::escape(&finding.summary)),
        )?;
    }
    Ok(())
}

/// How many resources the device holds, column by column.
fn write_area(data: &Data, lane: &Lane<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let device = lane.device;
    let column = |time: u64| {
        let place = u128::from(time) * u128::from(COLUMNS) / u128::from(data.length.max(1));
        usize::try_from(place)
            .unwrap_or(usize::MAX)
            .min(COLUMNS as usize)
    };
    let mut changes = vec![0_i64; COLUMNS as usize + 2];
    for place in 0..device.resources.len() {
        let (begin, end) = device.span(place, data.length);
        // In every column that it is seen in.
        for (column, change) in [(column(begin), 1), (column(end) + 1, -1)] {
            if let Some(known) = changes.get_mut(column) {
                *known += change;
            }
        }
    }
    let mut held = 0;
    let heights: Vec<i64> = changes
        .iter()
        .map(|change| {
            held += change;
            held
        })
        .collect();
    let most = heights.iter().copied().max().unwrap_or(1).max(1);
    let (bottom, room) = (lane.top + lane.height - 4.0, lane.height - HEAD - 4.0);
    let step = (WIDTH - 2.0 * LEFT) / f64::from(COLUMNS);
    write!(writer, "<path fill=\"{RESOURCE}\" d=\"M{LEFT} {bottom:.1}")?;
    for height in heights.iter().take(COLUMNS as usize) {
        #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
        let y = bottom - room * (*height as f64 / most as f64);
        write!(writer, "V{y:.1}h{step:.2}")?;
    }
    let title = format!(
        "up to {} at once",
        counted(most.unsigned_abs(), "resource", "resources")
    );
    writeln!(writer, "V{bottom:.1}z\"><title>{title}</title></path>")
}
