package around

import (
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
)

// Authenticators stand for the metadata of models of authenticators: what has become of each, by its AAGUID.
type Authenticators map[string]metadata.Standing

// Standing says what has become of the model of a passkey's authenticator.
func (a Authenticators) Standing(c *account.Credential) metadata.Standing {
	if is, known := a[strings.ToLower(c.AAGUID)]; known {
		return is
	}
	return metadata.Standing{Status: metadata.Unknown}
}

// ReadAuthenticators reads the authenticators that a file has beside its scenarios.
func ReadAuthenticators(l *strictyaml.Reader, n *yaml.Node) Authenticators {
	if n == nil {
		return nil
	}
	found := Authenticators{}
	statuses := make([]string, 0, len(metadata.Statuses()))
	for _, status := range metadata.Statuses() {
		statuses = append(statuses, string(status))
	}
	for aaguid, given := range l.Named(n, "authenticators") {
		fields := l.Object(given, "an authenticator", []string{"status", "level"})
		is := metadata.Standing{Status: metadata.OK}
		if status := fields["status"]; status != nil {
			is.Status = metadata.Status(l.Choice(status, "status", statuses))
		}
		if level := fields["level"]; level != nil {
			if is.Level = int(l.Integer(level, "level")); is.Level < 0 || is.Level > metadata.MaxLevel {
				l.Refuse(level, "level must be 0 to %d: 1 = L1, 2 = L1+, to 6 = L3+", metadata.MaxLevel)
			}
		}
		model, err := uuid.Parse(aaguid)
		switch {
		case err != nil || !strings.EqualFold(model.String(), aaguid):
			l.Refuse(given, "authenticator %q is no AAGUID", aaguid)
		case model == uuid.Nil:
			l.Refuse(given, "an AAGUID of zeros is no model")
		}
		found[model.String()] = is
	}
	return found
}
