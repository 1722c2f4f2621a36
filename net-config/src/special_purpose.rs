//! Special-purpose address blocks: which addresses a page from the internet may not reach.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), plus the blocks that
//! are reserved elsewhere: multicast (RFC 5771, RFC 4291) and site-local (RFC 3879).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address block: base, prefix length, and whether it is globally reachable. The longest matching prefix decides.
struct Block<A>(A, u8, bool);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8, global: bool) -> Block<Ipv4Addr> {
    Block(Ipv4Addr::new(a, b, c, d), prefix, global)
}

const fn v6(address: [u16; 8], prefix: u8, global: bool) -> Block<Ipv6Addr> {
    let [a, b, c, d, e, f, g, h] = address;
    Block(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix, global)
}

const IPV4: [Block<Ipv4Addr>; 22] = [
    v4(0, 0, 0, 0, 8, false),          // this network (RFC 791)
    v4(10, 0, 0, 0, 8, false),         // private use (RFC 1918)
    v4(100, 64, 0, 0, 10, false),      // shared address space (RFC 6598)
    v4(127, 0, 0, 0, 8, false),        // loopback (RFC 1122)
    v4(169, 254, 0, 0, 16, false),     // link local (RFC 3927)
    v4(172, 16, 0, 0, 12, false),      // private use (RFC 1918)
    v4(192, 0, 0, 0, 24, false),       // IETF protocol assignments (RFC 6890)
    v4(192, 0, 0, 9, 32, true),        // port control protocol anycast (RFC 7723)
    v4(192, 0, 0, 10, 32, true),       // TURN anycast (RFC 8155)
    v4(192, 0, 2, 0, 24, false),       // documentation (RFC 5737)
    v4(192, 31, 196, 0, 24, true),     // AS112 (RFC 7535)
    v4(192, 52, 193, 0, 24, true),     // AMT (RFC 7450)
    v4(192, 88, 99, 0, 24, false),     // 6to4 relay anycast, deprecated (RFC 7526)
    v4(192, 168, 0, 0, 16, false),     // private use (RFC 1918)
    v4(192, 175, 48, 0, 24, true),     // direct delegation AS112 (RFC 7534)
    v4(198, 18, 0, 0, 15, false),      // benchmarking (RFC 2544)
    v4(198, 51, 100, 0, 24, false),    // documentation (RFC 5737)
    v4(203, 0, 113, 0, 24, false),     // documentation (RFC 5737)
    v4(224, 0, 0, 0, 4, false),        // multicast (RFC 5771)
    v4(233, 252, 0, 0, 24, false),     // documentation, multicast (RFC 6676)
    v4(240, 0, 0, 0, 4, false),        // reserved (RFC 1112)
    v4(255, 255, 255, 255, 32, false), // limited broadcast (RFC 919)
];

const IPV6: [Block<Ipv6Addr>; 24] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, false), // IPv4-compatible, deprecated (RFC 4291); holds :: and ::1
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, false), // IPv4-translated, SIIT (RFC 2765)
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, false), // local-use IPv4/IPv6 translation (RFC 8215)
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, false), // discard-only (RFC 6666)
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, false), // dummy prefix (RFC 9780)
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, false), // IETF protocol assignments (RFC 2928); holds Teredo (RFC 4380)
    v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, true), // port control protocol anycast (RFC 7723)
    v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, true), // TURN anycast (RFC 8155)
    v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, true), // DNS-SD SRP anycast (RFC 9665)
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, false), // benchmarking (RFC 5180)
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, true), // AMT (RFC 7450)
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, true), // AS112 (RFC 7535)
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, false), // ORCHID, deprecated (RFC 4843)
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, true), // ORCHIDv2 (RFC 7343)
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, true), // drone remote ID (RFC 9374)
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, false), // documentation (RFC 3849)
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, true), // direct delegation AS112 (RFC 7534)
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, false), // documentation (RFC 9637)
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, false), // segment routing SIDs (RFC 9602)
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, false), // unique local (RFC 4193)
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, false), // link local (RFC 4291)
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, false), // site local, deprecated (RFC 3879)
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, false), // multicast (RFC 4291)
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, true), // IPv4-mapped (RFC 4291): the IPv4 address decides
];

/// Returns whether an address is not globally reachable: it belongs to this machine or its network, or is reserved.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let address = u128::from(address.to_bits());
    !is_global(
        IPV4.iter().map(|Block(block, prefix, global)| (u128::from(block.to_bits()), 32 - prefix, *global)),
        address,
    )
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_private_v4(inner);
    }
    let blocks = IPV6.iter().map(|Block(block, prefix, global)| (block.to_bits(), 128 - prefix, *global));
    !is_global(blocks, address.to_bits())
}

/// Returns whether the longest matching prefix is globally reachable. Addresses in no block are.
fn is_global(blocks: impl Iterator<Item = (u128, u8, bool)>, address: u128) -> bool {
    // A shift by 128 bits would overflow; no block has an empty prefix.
    let holds = |(block, host_bits, _): &(u128, u8, bool)| block >> host_bits == address >> host_bits;
    blocks.filter(holds).min_by_key(|(_, host_bits, _)| *host_bits).is_none_or(|(_, _, global)| global)
}

/// Returns the IPv4 address embedded in an IPv6 address that a translator or tunnel unpacks.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        // IPv4-mapped (RFC 4291) and the well-known translation prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(address: &str) -> bool {
        is_private(address.parse().unwrap())
    }

    #[test]
    fn every_special_purpose_block_is_private_from_its_first_to_its_last_address() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.8"),
            ("192.0.0.11", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.254"),
            ("255.255.255.255", "255.255.255.255"),
            ("::", "::1"),
            ("::2", "::255.255.255.255"),
            ("::ffff:0:0:0", "::ffff:0:255.255.255.255"),
            ("::ffff:10.0.0.1", "::ffff:127.0.0.1"),
            ("64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
            ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002:a00:1::", "2002:7f00:1::ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(private(first) && private(last), "{first} – {last}");
        }
    }

    #[test]
    fn addresses_beside_those_blocks_and_globally_reachable_assignments_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.0.9",
            "192.0.0.10",
            "192.0.1.0",
            "192.0.3.0",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.98.1",
            "192.167.255.255",
            "192.169.0.0",
            "192.175.48.1",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.1",
            "203.0.112.1",
            "223.255.255.255",
            "93.184.216.34",
            "::ffff:93.184.216.34",
            "64:ff9b::93.184.216.34",
            "2002:5db8:d822::1",
            "2001:1::1",
            "2001:1::2",
            "2001:1::3",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:30::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db9::1",
            "2606:4700::1111",
            "2620:4f:8000::1",
            "2a00::1",
            "3ffe:ffff::1",
            "64:ff9c::1",
            "101::1",
        ] {
            assert!(!private(address), "{address}");
        }
    }

    #[test]
    fn the_sizes_of_the_tables_hold_no_block_twice() {
        let mut v4: Vec<_> = IPV4.iter().map(|block| (block.0, block.1)).collect();
        let mut v6: Vec<_> = IPV6.iter().map(|block| (block.0, block.1)).collect();
        v4.sort_unstable();
        v6.sort_unstable();
        let (before_v4, before_v6) = (v4.len(), v6.len());
        v4.dedup();
        v6.dedup();
        assert_eq!((v4.len(), v6.len()), (before_v4, before_v6));
    }
}
