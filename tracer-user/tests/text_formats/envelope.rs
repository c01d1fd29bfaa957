//! What stands around an event: encodings, prefixes, mails, wrapped lines, what was cut off.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use devres_tracer::{
    event::{DeviceAddress, Event, EventKind, Loss, LossCause, Task, Time},
    source::text::{self, ImportError},
};

use super::{SECOND, add, events, identity, kinds, reference, support::import, task};

#[test]
fn every_prefix_of_the_kernel_log_gives_the_same_event() {
    for (prefix, time) in [
        ("[  126.886032] ", Some(126_886_032_000)),
        ("[7.138679] ", Some(7_138_679_000)),
        ("[ ] ", None),
        ("", None),
        ("\t  ", None),
        ("> ", None),
        ("> > [7.138679] ", Some(7_138_679_000)),
        ("| [7.138679] ", Some(7_138_679_000)),
        ("<3>[    7.138679] ", Some(7_138_679_000)),
        ("kern  :err   : [    7.138679] ", Some(7_138_679_000)),
        ("3,77,7138679,-;", Some(7_138_679_000)),
        ("[  +0.000008] ", None),
        ("[Thu Jan  1 00:01:05 1970] ", Some(65 * SECOND)),
        ("Jan  1 00:01:05 pc-mine kernel: ", Some(65 * SECOND)),
        (
            "Jan  1 00:01:05 pc-mine kernel: [    7.138679] ",
            Some(7_138_679_000),
        ),
        (
            "1970-01-01T00:01:05.5+02:00 pc-mine kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("1970-01-01 00:01:05 [    7.138679] ", Some(7_138_679_000)),
        ("  CRIT KERN ", None),
        ("kernel: ", None),
        ("board-7 console: [    7.138679] ", Some(7_138_679_000)),
        (
            "\x1b[32m[    7.138679] \x1b[0m\x1b[33m",
            Some(7_138_679_000),
        ),
        // journalctl -o short-precise, short-iso, short-iso-precise, short-monotonic, short-unix, short-full,
        // with-unit, cat, export, json.
        (
            "Jan 01 00:01:05.500000 pc kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("1970-01-01T00:01:05+0100 pc kernel: ", Some(65 * SECOND)),
        (
            "1970-01-01T00:01:05.500000+01:00 pc kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("[    7.138679] pc kernel: ", Some(7_138_679_000)),
        ("65.500000 pc kernel: ", Some(65 * SECOND + SECOND / 2)),
        ("Thu 1970-01-01 00:01:05 CET pc kernel: ", Some(65 * SECOND)),
        ("MESSAGE=", None),
        (r#"{"_HOSTNAME":"pc","MESSAGE":"#, None),
        // rsyslog, busybox's syslogd and OpenWrt's logread.
        ("Jan  1 00:01:05 pc kern.err kernel: ", Some(65 * SECOND)),
        (
            "Thu Jan  1 00:01:05 1970 kern.err kernel: [    7.138679] ",
            Some(7_138_679_000),
        ),
        // Android's log.
        ("01-01 00:01:05.000     0     0 E ", Some(65 * SECOND)),
        // dmesg -T, -x, --time-format=iso, -r, -H's first line of a minute.
        ("[Thu Jan  1 00:01:05 1970] ", Some(65 * SECOND)),
        (
            "kern  :err   : [Thu Jan  1 00:01:05 1970] ",
            Some(65 * SECOND),
        ),
        ("1970-01-01T00:01:05,000000+00:00 ", Some(65 * SECOND)),
        ("[Jan 1 00:01] ", Some(60 * SECOND)),
        // CONFIG_PRINTK_CALLER, and what vendors have instead.
        ("<3>[    7.138679][    T0] ", Some(7_138_679_000)),
        ("[    7.138679][    C1] ", Some(7_138_679_000)),
        ("[    7.138679@2] ", Some(7_138_679_000)),
        ("[    7.138679][2] ", Some(7_138_679_000)),
        ("[    7.138679] (2)[0:swapper/2] ", Some(7_138_679_000)),
        // netconsole: plain, extended, with the kernel's release.
        ("3,77,7138679,-,caller=T0;", Some(7_138_679_000)),
        ("6.12.43,3,77,7138679,-;", Some(7_138_679_000)),
        ("6.1.0-13-amd64,3,77,7138679,c;", Some(7_138_679_000)),
        // A test machine's log around the console's.
        ("2024-02-27T01:02:03 [    7.138679] ", Some(7_138_679_000)),
        ("00:07:01.234 | kern | [    7.138679] ", Some(7_138_679_000)),
    ] {
        is_the_event(prefix, time);
    }
}

/// What other programs, web pages and vendors' kernels put in front.
#[test]
fn every_other_prefix_gives_the_same_event() {
    for (prefix, time) in [
        ("21:52:21.0000  [    7.138679] ", Some(7_138_679_000)),
        // What grep, a shell and a web page put in front.
        ("12:[    7.138679] ", Some(7_138_679_000)),
        ("dmesg.txt:12:", None),
        ("root@pc:~# ", None),
        ("[&nbsp;&nbsp; 7.138679]\t", Some(7_138_679_000)),
        ("[\u{a0}\u{a0}\u{a0} 7.138679]\u{a0}", Some(7_138_679_000)),
        ("[=C2=A0=C2=A0 7.138679] ", Some(7_138_679_000)),
        // The time with the brackets cut off, or others; a line that lost its end in front.
        ("7.138679] ", Some(7_138_679_000)),
        ("7.138679 ", Some(7_138_679_000)),
        ("(7.138679) ", Some(7_138_679_000)),
        ("[<    0.000008>] ", None),
        ("[    1.0] usb 1-1: new[    7.138679] ", Some(7_138_679_000)),
        // Containers' logs, tables, RFC 5424, vendors' kernels.
        (
            "time=\"1970-01-01T00:01:05Z\" level=error msg=\"",
            Some(65 * SECOND),
        ),
        ("1970-01-01T00:01:05Z,pc,kernel,err,\"", Some(65 * SECOND)),
        (
            "<3>1 1970-01-01T00:01:05Z pc kernel - - - ",
            Some(65 * SECOND),
        ),
        ("[    7.138679@0]- ", Some(7_138_679_000)),
        ("7.138679\tkern\terr\t", Some(7_138_679_000)),
    ] {
        is_the_event(prefix, time);
    }
}

/// Whether a line with this prefix is an event of that time.
fn is_the_event(prefix: &str, time: Option<u64>) {
    let quote = if prefix.ends_with(':') { "\"" } else { "" };
    let line = format!(
        "{prefix}{quote}lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_release (16 bytes){quote}\r\n"
    );
    let import = import(&line);
    let found: Vec<Event> = import.events().collect();
    let kinds: Vec<_> = found.iter().map(|event| &event.kind).collect();
    let expected = [
        &identity("0-0048", "lm75", ""),
        &add(0x323c_cdc5, "devm_clk_release", 16),
    ];
    assert_eq!(kinds, expected, "{line}");
    assert_eq!(import.coverage().times, time.is_some(), "{line}");
    // Without times, events are counted.
    assert_eq!(found[0].time, Time(time.unwrap_or(1)), "{line}");
    assert_eq!(found[1].time, Time(time.unwrap_or(2)), "{line}");
    assert_eq!(found[1].device, found[0].device);
    assert_ne!(found[1].device, DeviceAddress::NONE);
    assert_eq!(found[1].task, Task::default());
}

#[test]
fn files_of_every_encoding_are_read() {
    let text = "[    7.138679] lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_release (16 bytes)\r\n\
                [    8.138679] lm75 0-0048: DEVRES REL 00000000323ccdc5 devm_clk_release (16 bytes)\r\n";
    let expected = kinds(text);
    assert_eq!(expected.len(), 3);
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').count();
    for bytes in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        [b"\xff\xfe", &little[..]].concat(),
        [b"\xfe\xff", &big[..]].concat(),
        little.clone(),
        text.replace('\n', "\r\n").into_bytes(),
        [text.as_bytes(), b"\xff\xfe\x80 not UTF-8"].concat(),
        // What a serial console or pstore leaves around it.
        [b"\0\0\0", text.as_bytes(), b"\0\0"].concat(),
    ] {
        let import = text::read(&bytes[..]).unwrap();
        let found: Vec<_> = import.events().map(|event| event.kind).collect();
        assert_eq!(found, expected, "{bytes:?}");
        assert!(import.statistics().lines <= lines(&bytes) as u64);
        assert!(import.coverage().times);
    }
}

#[test]
fn what_stands_around_events_is_passed_over() {
    for (around, event_lines) in [
        // pstore's and the crash's own headers, /dev/kmsg's dictionary, a mail's prose and diff.
        ("Oops#1 Part1\n<3>EVENT", 1),
        ("Panic#2 Part3\n<3>EVENT", 1),
        ("EVENT SUBSYSTEM=i2c\n DEVICE=+i2c:0-0048\n", 1),
        ("As the DEVRES lines show:\n\nEVENT\n-- \n2.32.0\n", 1),
        ("On Fri, x wrote:\n> > EVENT> and more DEVRES prose\n", 1),
        ("```\nEVENT```\n", 1),
        ("$ dmesg | grep DEVRES\nEVENT$ \n", 1),
        ("devres: DEVRES ADD and REL\nEVENT", 1),
        ("EVENTEVENT", 2),
    ] {
        let event = "[ 7.0] lm75 0-0048: DEVRES REM 00000000323ccdc5 devm_clk_release (16 bytes)\n";
        let text = around.replace("EVENT", event);
        let import = import(&text);
        assert_eq!(import.statistics().event_lines, event_lines, "{text}");
        let removed = EventKind::Remove(reference(0x323c_cdc5, "devm_clk_release", 16));
        let found = import
            .events()
            .filter(|event| event.kind == removed)
            .count();
        assert_eq!(found as u64, event_lines, "{text}");
    }
}

#[test]
fn mails_that_are_not_decoded_are_read() {
    let text = "[ 7.0] lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_rel=\nease (16 bytes)\n";
    let added = add(0x323c_cdc5, "devm_clk_release", 16);
    assert_eq!(kinds(text)[1], added);
    let body = STANDARD.encode(format!("Hello,\r\n\r\n{}", text.replace("=\n", "")));
    let body: Vec<_> = body
        .as_bytes()
        .chunks(76)
        .map(String::from_utf8_lossy)
        .collect();
    let mail = format!(
        "Subject: abort\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\n{}\n\n--b--\n",
        body.join("\n")
    );
    assert_eq!(kinds(&mail)[1], added, "{mail}");
    // In a mailbox the next mail may have none of it.
    let mailbox = format!("{mail}From x\nContent-Transfer-Encoding: 8bit\n\n{text}{mail}");
    let found = kinds(&mailbox);
    let additions = found
        .iter()
        .filter(|kind| matches!(kind, EventKind::Add(_)));
    assert_eq!(additions.count(), 3, "{found:?}");
}

#[test]
fn the_thread_that_wrote_the_message_is_its_task() {
    let found = events("[    7.138679][  T123] x y: DEVRES REM 00000000323ccdc5 z (1 bytes)");
    assert_eq!(found[1].task, task("", 123));
    let found = events("[    7.138679] [    C3] x y: DEVRES REM 00000000323ccdc5 z (1 bytes)");
    assert_eq!((found[1].task, found[1].cpu), (task("", 0), 3));
}

#[test]
fn wrapped_lines_are_joined() {
    let expected = [
        identity("0000:00:1f.3", "snd_hda_intel", ""),
        add(0x323c_cdc5, "devm_component_match_release", 24),
    ];
    for text in [
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD\n00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES\nADD 00000000323ccdc5\ndevm_component_match_release (24 bytes)",
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5\n> devm_component_match_release (24\n> bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3:\nDEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel\n0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0]\nsnd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        // Where the line was full.
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323c\ncdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo\nnent_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES AD\nD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 by\ntes)",
        // Quoted-printable, quoted before or behind that, and with a blank kept at the end.
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo=\nnent_match_release (24 bytes)",
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo=\n> nent_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD=20\n00000000323ccdc5 devm_component_match_release (24 bytes)",
        // Records of several lines.
        "__CURSOR=s\n__MONOTONIC_TIMESTAMP=1000000\nMESSAGE=snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)\n",
        "{\n\"time\": 1.0,\n\"msg\": \"snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)\"\n}",
    ] {
        let import = import(text);
        let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
        assert_eq!(kinds, expected, "{text}");
        let statistics = import.statistics();
        let is_record = text.starts_with('{') || text.starts_with('_');
        assert!(
            is_record || statistics.event_lines == statistics.lines,
            "{text}"
        );
        assert_eq!(statistics.kernel_log, 1);
        assert_eq!(import.events().next().unwrap().time, Time(SECOND), "{text}");
    }
}

#[test]
fn several_events_on_a_line_are_several() {
    let one = "[ 1.0] x y: DEVRES ADD 0000000000000001 a (8 bytes)";
    let two = "[ 2.0] x y: DEVRES REL 0000000000000001 a (8 bytes)";
    let refused = "[ 2.0] pci z: Resources present before probing";
    let expected = kinds(&format!("{one}\n{two}\n"));
    for between in ["", "\r", "\u{1b}[0m"] {
        assert_eq!(
            kinds(&format!("{one}{between}{two}\n")),
            expected,
            "{between:?}"
        );
    }
    let messages = |text: &str| import(text).statistics().messages;
    assert_eq!(messages(&format!("{one}{refused}")), 1);
    assert_eq!(messages(&format!("{refused}{refused}")), 2);
}

#[test]
fn marks_of_web_pages_are_undone() {
    let text = "sh-1 [000] d..1. 1.000000: devres_log: x ADD 0000000000000001 grp&lt; (0 bytes)\n\
                sh-1 [000] d..1. 1.000001: devres_log: x ADD 0000000000000002 \\u0026a (8 bytes)\n";
    assert_eq!(kinds(text)[1..], [add(1, "grp<", 0), add(2, "&a", 8)]);
}

#[test]
fn cut_beginnings_and_ends_are_counted() {
    let text = "c5 devm_component_match_release (24 bytes)\n\
                [ 1.0] x y: DEVRES ADD 000000\n\
                [ 2.0] x y: DEVRES ADD 0000000000000001 a (8 bytes)\n\
                [ 3.0] x y: DEVRES REL 00000000000";
    let import = import(text);
    let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
    // The last one is where the text ends: nothing more is known of what came then.
    let lost = EventKind::Loss(Loss {
        count: 1,
        cause: LossCause::Input,
    });
    assert_eq!(kinds, [lost, identity("y", "x", ""), add(1, "a", 8)]);
    let statistics = import.statistics();
    assert_eq!((statistics.lines, statistics.event_lines), (4, 1));
    assert_eq!((statistics.other_lines, statistics.cut), (3, 2));
}

#[test]
fn a_text_without_events_is_an_error_that_says_what_to_do() {
    assert!(matches!(text::read(&b""[..]), Err(ImportError::Empty)));
    for text in [
        "\n",
        "[ 1.0] usb 1-1: new device\nprose about DEVRES ADD\n\0\u{fffd}\n",
    ] {
        match text::read(text.as_bytes()) {
            Err(ImportError::NoEvents { statistics }) => {
                assert_eq!(statistics.lines, text.lines().count() as u64);
                assert_eq!(statistics.other_lines, statistics.lines);
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
    let error = text::read(&b"x\n"[..]).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("the only line is not a devres event"),
        "{error}"
    );
    assert!(
        error.contains("devres.log=1") && error.contains("dev:devres_log"),
        "{error}"
    );
}
