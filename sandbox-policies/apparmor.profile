# Lets Regen's programs make user namespaces where AppArmor keeps them from programs that it does not know. It restricts nothing:
# that is what the policies beside this file are for. `./x setup` fills in the folder, and installs it.
abi <abi/4.0>,
include <tunables/global>

profile regen @PROGRAMS@/{regen,regen-broker,regen-jail,regen-probe} flags=(unconfined) {
  userns,

  include if exists <local/regen>
}
