//! Splats in a block: what the kernel reported, with its stacks.

use std::sync::Arc;

use super::{
    bytes::{Cursor, Malformed, Put as _},
    tables::{ReadingTables, WritingTables},
};
use crate::event::{
    StackFrame,
    splat::{Role, Splat, SplatKind, SplatStack},
};

/// What is there of a splat.
mod flag {
    pub(super) const NUMBER: u8 = 1 << 0;
    pub(super) const FATAL: u8 = 1 << 1;
    pub(super) const CUT: u8 = 1 << 2;
    pub(super) const ALL: u8 = (1 << 3) - 1;
}

/// The fewest bytes of a stack and of its frame.
const LEAST_STACK: usize = 3;
const LEAST_FRAME: usize = 3;

/// Appends a splat.
pub(super) fn put(splat: &Splat, bytes: &mut Vec<u8>, tables: &mut WritingTables) {
    bytes.push(splat.kind as u8);
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    bytes.push(
        flag(splat.number.is_some(), flag::NUMBER)
            | flag(splat.fatal, flag::FATAL)
            | flag(splat.cut, flag::CUT),
    );
    for text in [&splat.detail, &splat.place, &splat.hint, &splat.module] {
        tables.put_text(bytes, text.as_ref());
    }
    tables.put_function(bytes, splat.function.as_ref());
    if let Some(number) = splat.number {
        bytes.put_varint(number);
    }
    bytes.put_varint(splat.stacks.len() as u64);
    for stack in &splat.stacks {
        bytes.push(stack.role as u8);
        bytes.put_varint(stack.tid.map_or(0, |tid| u64::from(tid) + 1));
        bytes.put_varint(stack.frames.len() as u64);
        for frame in &*stack.frames {
            put_frame(frame, bytes, tables);
        }
    }
}

/// Appends a frame: of a stack's definition or of a splat.
pub(super) fn put_frame(frame: &StackFrame, bytes: &mut Vec<u8>, tables: &mut WritingTables) {
    let function = frame.function.as_ref();
    tables.put_function(bytes, function);
    bytes.put_varint(frame.offset);
    let begin = function.map_or(0, |function| function.address);
    bytes.put_difference(frame.address, begin.wrapping_add(frame.offset));
}

/// Reads a splat.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    tables: &mut ReadingTables,
) -> Result<Splat, Malformed> {
    let kind = *SplatKind::ALL
        .get(usize::from(cursor.byte()?))
        .ok_or(Malformed("the kernel's report is of an unknown kind"))?;
    let there = cursor.byte()?;
    if there & !flag::ALL != 0 {
        return Err(Malformed("it has members of an unknown kind"));
    }
    let [detail, place, hint, module] = [
        tables.text(cursor)?,
        tables.text(cursor)?,
        tables.text(cursor)?,
        tables.text(cursor)?,
    ];
    let function = tables.function(cursor)?;
    let number = (there & flag::NUMBER != 0)
        .then(|| cursor.varint())
        .transpose()?;
    let count = cursor.count(LEAST_STACK)?;
    let stacks = (0..count)
        .map(|_| read_stack(cursor, tables))
        .collect::<Result<_, _>>()?;
    Ok(Splat {
        kind,
        detail,
        place,
        function,
        hint,
        number,
        module,
        fatal: there & flag::FATAL != 0,
        cut: there & flag::CUT != 0,
        stacks,
    })
}

fn read_stack(
    cursor: &mut Cursor<'_>,
    tables: &mut ReadingTables,
) -> Result<SplatStack, Malformed> {
    let role = *Role::ALL
        .get(usize::from(cursor.byte()?))
        .ok_or(Malformed("a stack has an unknown role"))?;
    let tid = match cursor.varint()? {
        0 => None,
        tid => Some(u32::try_from(tid - 1).map_err(|_| Malformed("a number is too large"))?),
    };
    let count = cursor.count(LEAST_FRAME)?;
    let frames: Vec<StackFrame> = (0..count)
        .map(|_| read_frame(cursor, tables))
        .collect::<Result<_, _>>()?;
    Ok(SplatStack {
        role,
        tid,
        frames: Arc::from(frames),
    })
}

/// Reads a frame: of a stack's definition or of a splat.
pub(super) fn read_frame(
    cursor: &mut Cursor<'_>,
    tables: &mut ReadingTables,
) -> Result<StackFrame, Malformed> {
    let function = tables.function(cursor)?;
    let offset = cursor.varint()?;
    let begin = function.as_ref().map_or(0, |function| function.address);
    Ok(StackFrame {
        address: cursor.difference(begin.wrapping_add(offset))?,
        function,
        offset,
        line: None,
    })
}
