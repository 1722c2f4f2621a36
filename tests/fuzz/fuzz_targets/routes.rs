//! Routes and DNS servers as a user writes them: their display form must parse to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_net_config::dns::Servers;
use regen_net_config::route::Route;

fuzz_target!(|text: &str| {
    if let Ok(route) = text.parse::<Route>() {
        assert_eq!(route.to_string().parse(), Ok(route));
    }
    if let Ok(servers) = text.parse::<Servers>() {
        assert_eq!(servers.to_string().parse(), Ok(servers));
    }
});
