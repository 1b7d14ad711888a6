//! The integer mixing (SplitMix64) that both the checkpoint and the picture are drawn from.

/// 2⁶⁴ over the golden ratio: the increment of SplitMix64.
pub const GOLD: u64 = 0x9E37_79B9_7F4A_7C15;
const FIRST: u64 = 0xBF58_476D_1CE4_E5B9;
const SECOND: u64 = 0x94D0_49BB_1331_11EB;

/// One multiplication and two shifts: enough for the noise of a picture.
pub fn light(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(FIRST);
    z ^ (z >> 27)
}

/// SplitMix64's finalizer.
pub fn full(z: u64) -> u64 {
    let z = light(z).wrapping_mul(SECOND);
    z ^ (z >> 31)
}

/// FNV-1a of a name, 64 bits.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    #[test]
    fn published_values() {
        // SplitMix64 from seed 0 and FNV-1a's own test vectors.
        assert_eq!(super::full(super::GOLD), 0xE220_A839_7B1D_CDAF);
        assert_eq!(super::fnv1a(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(super::fnv1a("foobar"), 0x8594_4171_F739_67E8);
    }
}
