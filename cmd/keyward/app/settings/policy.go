package settings

import "github.com/keyward/keyward/cmd/keyward/app/settings/value"

// sourceSettings are of where the policy comes from beside a directory and the store, and of who vouches for it.
func (c *Config) sourceSettings() []Setting {
	return []Setting{
		{
			Section: "Decisions", Key: "policy_source", Value: value.Text{P: &c.Decision.Source.URL},
			Doc: "Who serves the policy, in place of policies and of the store: the URL of a bundle for OPA (https://…), or an image in a " +
				"registry (oci://registry/repository:tag). Empty = policies, or what is live in the store.",
			Note: "The last good bundle is kept in data_dir, and answers while there is no other, for policy_max_age at most.",
		},
		{
			Section: "Decisions", Key: "policy_source_service", Value: value.Text{P: &c.Decision.Source.Service},
			Doc: "A file in YAML or JSON that says how policy_source is called: credentials, tls and headers, as OPA's configuration of a service.",
		},
		{
			Section: "Decisions", Key: "policy_source_poll", Value: value.Duration{P: &c.Decision.Source.Poll},
			Doc:  "How often policy_source is asked for another bundle; at least 1s.",
			Note: "Servers that know OPA's long polling keep one call open for a minute, and answer when there is one.",
		},
		{
			Section: "Decisions", Key: "policy_signature_keys", Value: value.Text{P: &c.Decision.Signatures.Keys},
			Doc: "A file or a directory with the public keys that sign policies; empty = signatures are not looked at. What is not signed as it " +
				"must be is refused when it is pushed, and by every process, wherever it comes from.",
			Note: "In a directory each file that ends in .pem or .pub is a key, called as the file is. A file of YAML describes keys with times " +
				"from which and to which they count. It is read anew for each bundle.",
		},
		{
			Section: "Decisions", Key: "policy_signatures_required", Value: value.Int{P: &c.Decision.Signatures.Required},
			Doc:  "By how many of the keys in policy_signature_keys a policy must be signed; 0 = by none, and what is signed must hold.",
			Note: "The bundle of the binary needs none.",
		},
	}
}
