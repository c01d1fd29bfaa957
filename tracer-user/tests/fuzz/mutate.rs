//! Makes inputs of other inputs: always the same ones.

/// Bytes at which things change.
const TELLING: [u8; 10] = [0, 1, b'\n', b' ', b'0', b'(', 0x7f, 0x80, 0xc0, 0xff];
/// The longest input that is made: long enough for what grows faster than its input to show.
const LONGEST: usize = 1 << 14;

/// Makes inputs of seeds.
pub(crate) struct Mutator<'s> {
    seeds: &'s [Vec<u8>],
    random: u64,
}

impl<'s> Mutator<'s> {
    pub(crate) fn new(seeds: &'s [Vec<u8>]) -> Self {
        Self {
            seeds,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = match self.below(4) {
            0 => (0..self.below(1500)).map(|_| self.byte()).collect(),
            _ => self.seed().to_vec(),
        };
        for _ in 0..=self.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let place = self.below(input.len() + 1);
        let length = self.below(input.len() - place + 1);
        let end = place + length.min(40);
        match self.below(9) {
            0 => self.at(place, input, |byte, random| byte ^ 1 << (random % 8)),
            1 => self.at(place, input, |_, random| random),
            2 => self.at(place, input, |_, random| {
                TELLING[usize::from(random) % TELLING.len()]
            }),
            3 => drop(input.drain(place..end)),
            4 => drop(input.drain(place..place + length)),
            // A piece of another input, or of the same, is put between, or in place of what is there.
            5 => {
                let piece = self.piece(40);
                drop(input.splice(place..place, piece));
            }
            6 => {
                let piece = self.piece(400);
                drop(input.splice(place..place + length.min(piece.len()), piece));
            }
            7 => {
                let piece = input[place..end].to_vec();
                let elsewhere = self.below(input.len() + 1);
                drop(input.splice(elsewhere..elsewhere, piece));
            }
            // The same again and again.
            _ => {
                let piece = &input[place..place + length.min(400)];
                let times = 1 << (self.random % 9);
                let repeated = piece.repeat(times);
                drop(input.splice(place..place, repeated));
            }
        }
    }

    fn at(&mut self, place: usize, input: &mut [u8], change: impl Fn(u8, u8) -> u8) {
        let random = self.byte();
        if let Some(byte) = input.get_mut(place) {
            *byte = change(*byte, random);
        }
    }

    fn seed(&mut self) -> &'s [u8] {
        let number = self.below(self.seeds.len());
        &self.seeds[number]
    }

    fn piece(&mut self, longest: usize) -> Vec<u8> {
        let seed = self.seed();
        let place = self.below(seed.len() + 1);
        let length = self.below(longest).min(seed.len() - place);
        seed[place..place + length].to_vec()
    }

    /// A number below this one, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random() >> 33).unwrap_or_default() % end
    }

    fn byte(&mut self) -> u8 {
        self.random().to_le_bytes()[4]
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
