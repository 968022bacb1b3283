package account

// Status says whether a user may log in.
type Status string

// What a user may be. Only who is active takes part in ceremonies.
const (
	StatusPending  Status = "pending"
	StatusActive   Status = "active"
	StatusDisabled Status = "disabled"
)

// Valid reports whether s is one of the above.
func (s Status) Valid() bool { return s == StatusPending || s == StatusActive || s == StatusDisabled }

// IdentifierType is what an identifier is.
type IdentifierType string

// The types of identifiers.
const (
	IdentifierTypeEmail    IdentifierType = "email"
	IdentifierTypePhone    IdentifierType = "phone"
	IdentifierTypeUsername IdentifierType = "username"
)

// Valid reports whether t is one of the above.
func (t IdentifierType) Valid() bool {
	return t == IdentifierTypeEmail || t == IdentifierTypePhone || t == IdentifierTypeUsername
}

// IdentifierStatus says what is known of an identifier.
type IdentifierStatus string

// What is known of an identifier. The primary one of its type is verified too.
const (
	IdentifierStatusPending  IdentifierStatus = "pending"
	IdentifierStatusPrimary  IdentifierStatus = "primary"
	IdentifierStatusVerified IdentifierStatus = "verified"
)

// Valid reports whether s is one of the above.
func (s IdentifierStatus) Valid() bool {
	return s == IdentifierStatusPending || s == IdentifierStatusPrimary || s == IdentifierStatusVerified
}

// SocialProvider is an identity provider that users have accounts at.
type SocialProvider string

// The identity providers.
const (
	SocialProviderGithub    SocialProvider = "github"
	SocialProviderGoogle    SocialProvider = "google"
	SocialProviderMicrosoft SocialProvider = "microsoft"
)

// Valid reports whether p is one of the above.
func (p SocialProvider) Valid() bool {
	return p == SocialProviderGithub || p == SocialProviderGoogle || p == SocialProviderMicrosoft
}
