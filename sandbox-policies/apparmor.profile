# Allows Regen's programs to create user namespaces where AppArmor denies them to unknown programs. It restricts
# nothing; the policies beside this file do. `./x setup` fills in the folder and installs the profile.
abi <abi/4.0>,
include <tunables/global>

profile regen @PROGRAMS@/{regen,regen-broker,regen-jail,regen-probe} flags=(unconfined) {
  userns,

  include if exists <local/regen>
}
