# METADATA
# title: Conditional mediation
# description: |
#   Whether to offer passkeys in autofill before the user is known. The table `decision` is read from the top: the first row
#   whose condition holds decides. The conditions follow below the table, named after the tag of their row.
# schemas:
#   - input: schema.mediation
package keyward.mediation

# METADATA
# title: The decision table of conditional mediation
# scope: document
# entrypoint: true
default decision := {"rule": "M5", "allow": false, "tag": "default-deny"}

decision := deny("M0", "default-deny") if default_deny

else := deny("M1", "env-no-pk-support") if env_no_pk_support

else := deny("M2", "env-no-platform-pk-support") if env_no_platform_pk_support

else := deny("M3", "env-blacklisted") if env_blacklisted

else := allow("M4", "user-platform-pk-high-confidence") if user_platform_pk_high_confidence

# M0: something could not be looked up.
default_deny if not input.complete

# M1: no WebAuthn at all.
env_no_pk_support if not input.support.webauthn

# M2: the client cannot offer passkeys in autofill.
env_no_platform_pk_support if {
	not input.support.conditionalGet
}

# M3: the environment is barred by configuration, automation or a restricted browser.
env_blacklisted if input.environment.listed != "none"

# M4: the client shows what it holds. The wire has no tag for an offer to nobody in particular; this is the nearest.
user_platform_pk_high_confidence if input.environment.listed == "none"

deny(row, tag) := {"rule": row, "allow": false, "tag": tag}

allow(row, tag) := {"rule": row, "allow": true, "tag": tag}
