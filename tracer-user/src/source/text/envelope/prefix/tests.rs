use super::*;

const SECOND: u64 = 1_000_000_000;

/// A row of the table is all that a form needs: its example is read by it, and ends with it.
#[test]
fn every_form_reads_its_own_example() {
    for (place, own) in FORMS.iter().enumerate() {
        let line = format!("{}lm75 0-0048: hello", own.example);
        let mut prefix = Prefix::default();
        let mut rest = line.as_bytes();
        let mut used = Vec::new();
        while let Some((form, behind)) = form(rest.trim_ascii_start(), &mut prefix) {
            used.push(FORMS.iter().position(|known| std::ptr::eq(known, form)));
            rest = behind;
        }
        assert_eq!(rest.trim_ascii_start(), b"lm75 0-0048: hello", "{line}");
        assert!(used.contains(&Some(place)), "{line}");
        assert!(!own.seen.is_empty(), "{line}");
    }
}

#[test]
fn prefixes_of_every_kind_are_taken_off() {
    let at = |time| Some(Stamp::At(time));
    let march_2023 = 1_678_485_141 * SECOND;
    let march_10 = (68 * 86_400 + 76_636) * SECOND;
    for (line, time) in [
        ("[  126.886032] ", at(126_886_032_000)),
        ("[7.138679] ", at(7_138_679_000)),
        ("[ ] ", None),
        ("> [    7.138679] ", at(7_138_679_000)),
        ("> >> | [    7.138679] ", at(7_138_679_000)),
        ("<3>[    7.138679] ", at(7_138_679_000)),
        ("[  +0.000008] ", Some(Stamp::After(8_000))),
        ("[    7.138679][   T12] ", at(7_138_679_000)),
        ("[7.138679 0.000012] ", at(7_138_679_000)),
        ("[Fri Mar 10 21:52:21 2023] ", at(march_2023)),
        ("[2023-03-10 21:52:21] ", at(march_2023)),
        ("2023-03-10T21:52:21,000000+00:00 ", at(march_2023)),
        (
            "2023-03-10T21:52:21.5+01:00 host kernel: ",
            at(march_2023 + SECOND / 2),
        ),
        ("Mar 10 21:17:16 pc-mtodorov kernel: ", at(march_10)),
        (
            "Mar 10 21:17:16 pc kernel: [    7.138679] ",
            at(7_138_679_000),
        ),
        ("kern  :err   : [    7.138679] ", at(7_138_679_000)),
        ("3,512,7138679,-;", at(7_138_679_000)),
        ("  CRIT KERN ", None),
        ("[    7.138679] (1)[45:kworker/1:0] ", at(7_138_679_000)),
        ("[    7.138679] (1) ", at(7_138_679_000)),
        ("[    7.138679] .(1)[45:swapper/1]", at(7_138_679_000)),
        ("[    7.138679]-(1)[45:swapper/1]", at(7_138_679_000)),
        ("[    7.138679@1] ", at(7_138_679_000)),
        ("[    7.138679][1] ", at(7_138_679_000)),
        ("6.1.0-13-amd64,3,512,7138679,-;", at(7_138_679_000)),
        ("7.138679 pc kernel: ", at(7_138_679_000)),
        ("Fri 2023-03-10 21:52:21 CET pc kernel: ", at(march_2023)),
        ("03-10 21:17:16.000     0     0 E ", at(march_10)),
        ("7.138679] ", at(7_138_679_000)),
        ("7.138679 ", at(7_138_679_000)),
        ("7.138679: ", at(7_138_679_000)),
        ("Mar 10 21:17:16 pc kernel[123]: ", at(march_10)),
        ("(7.138679) ", at(7_138_679_000)),
        ("[<    0.000010>] ", Some(Stamp::After(10_000))),
        ("<    0.000010> ", Some(Stamp::After(10_000))),
        ("[    7.138679s][pid:1,cpu0,swapper/0]", at(7_138_679_000)),
        ("[    7.138679] c0   312 ", at(7_138_679_000)),
        ("[    7.138679] c0 ", at(7_138_679_000)),
        (
            "[    7.138679] I[0:    kworker/u8:3:   41] ",
            at(7_138_679_000),
        ),
        ("[    7.138679@0]- ", at(7_138_679_000)),
        ("[    7.138679@0]d ", at(7_138_679_000)),
        ("03-10 21:17:16.000  root     0     0 E ", at(march_10)),
        ("03-10 21:17:16.000     0     0 W         : ", at(march_10)),
        ("7.138679 kern err ", at(7_138_679_000)),
        (
            "time=\"2023-03-10T21:52:21Z\" level=error msg=\"",
            at(march_2023),
        ),
        ("<3>1 2023-03-10T21:52:21Z pc kernel - - - ", at(march_2023)),
        (
            "<3>1 2023-03-10T21:52:21Z pc kernel 12 ID [a@1 b=\"c\"] ",
            at(march_2023),
        ),
        ("21:52:21.0000  [    7.138679] ", at(7_138_679_000)),
        ("[    7.138679] pc kernel: ", at(7_138_679_000)),
        ("2023-03-10T21:52:21.000000Z 00O ", at(march_2023)),
        (
            "2023-03-10T21:52:21.000000Z 01E+[    7.138679] ",
            at(7_138_679_000),
        ),
        ("123:[    7.138679] ", at(7_138_679_000)),
        ("kernel: ", None),
        ("\t", None),
        ("", None),
    ] {
        let whole = format!("{line}lm75 0-0048: hello");
        let (prefix, rest) = split(whole.as_bytes());
        assert_eq!(rest, b"lm75 0-0048: hello", "{line:?}");
        assert_eq!(prefix.time, time, "{line:?}");
    }
}

#[test]
fn who_wrote_the_message_is_told_by_the_caller_field() {
    let (prefix, _) = split(b"[    7.138679] [   T123] x");
    assert_eq!(prefix.thread, Some(123));
    let (prefix, _) = split(b"[    7.138679] [    C2] x");
    assert_eq!(prefix.cpu, Some(2));
}

#[test]
fn brackets_alone_are_no_log() {
    for (line, logged) in [
        ("[PATCH] driver core: x", false),
        ("> x y: z", false),
        ("[ ] x", true),
        ("[    1.000000] x", true),
        ("[   T1] x", true),
        ("<3>x", true),
        ("  CRIT KERN x", true),
    ] {
        assert_eq!(split(line.as_bytes()).0.logged, logged, "{line}");
    }
}

#[test]
fn a_quoted_line_alone_does_not_begin_a_message() {
    assert!(!split(b"> devm_kzalloc_release (40 bytes)").0.begins);
    assert!(split(b"> [    1.000000] x").0.begins);
    assert_eq!(unquote(b"> >  x "), b"x ");
}

#[test]
fn drivers_that_look_like_prefixes_stay() {
    for line in [
        "c6x c0: y",
        "1.0 x: y",
        "00:1f.3 x: y",
        "kernel_driver x: y",
        "user x: y",
        "Marvell phy: y",
        "3c59x 0000:00: y",
    ] {
        assert_eq!(split(line.as_bytes()).1, line.as_bytes());
    }
}
