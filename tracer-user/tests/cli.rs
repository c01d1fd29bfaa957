//! The command line as its users see it: each file in `cli/` is a transcript.

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd");
}
