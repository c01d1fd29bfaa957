//! The first stage: from bytes to lines as the kernel or a tool has written them. What encodings, terminals, web pages,
//! mail programs, JSON and the journal have made of them is undone.

pub(super) mod base64;
pub(super) mod html;
pub(super) mod json;
pub(super) mod lines;
pub(super) mod mail;
pub(super) mod plain;
mod record;
pub(super) mod strings;
