package metadata

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"
)

// Status says what has become of an authenticator's model.
type Status string

// The statuses.
const (
	Unknown     Status = "unknown"     // nothing is said of the model
	OK          Status = "ok"          // nothing is said against it
	Update      Status = "update"      // there is an update of its software
	Retired     Status = "retired"     // its vendor has given it up: it should not be taken any longer
	Compromised Status = "compromised" // keys of it, or the verification of its users, are known not to hold
	Revoked     Status = "revoked"     // it must not be trusted
)

// Statuses are all statuses.
func Statuses() []Status { return []Status{Unknown, OK, Update, Retired, Compromised, Revoked} }

// MaxLevel is the highest level that an authenticator is certified at: L3+.
const MaxLevel = 6

// Standing is what has become of an authenticator, and how it is certified.
type Standing struct {
	Status Status
	Level  int // of FIDO's certification: 0 = none, 1 = L1, 2 = L1+, to 6 = L3+
}

// levels are what reports say of certification. The later of two counts. It is never changed.
var levels = map[metadata.AuthenticatorStatus]int{
	metadata.NotFidoCertified: 0, metadata.FidoCertified: 1, metadata.FidoCertifiedL1: 1, metadata.FidoCertifiedL1plus: 2,
	metadata.FidoCertifiedL2: 3, metadata.FidoCertifiedL2plus: 4, metadata.FidoCertifiedL3: 5, metadata.FidoCertifiedL3plus: MaxLevel,
}

// Reports are what has become of models, by their AAGUIDs.
type Reports map[string][]Report

// Of returns the standing of an authenticator whose attestation has certificates of those hashes, as of a moment.
func (r Reports) Of(aaguid string, certificates [][]byte, now time.Time) Standing {
	reports, known := r[aaguid]
	if !known {
		return Standing{Status: Unknown}
	}
	return standing(reports, certificates, now)
}

// InEffect returns what is said of a model and in effect at a moment.
func (r Reports) InEffect(aaguid string, now time.Time) []Report {
	var found []Report
	for _, report := range r[aaguid] {
		if report.inEffect(now) {
			found = append(found, report)
		}
	}
	return found
}

// Said is InEffect in the words of the metadata, sorted.
func (r Reports) Said(aaguid string, now time.Time) []string {
	var words []string
	for _, report := range r.InEffect(aaguid, now) {
		words = append(words, string(report.Status))
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// Of returns the standing of an authenticator whose attestation has certificates of those SHA-256 hashes, as of a moment. The AAGUID is in
// the form of a UUID. A nil Snapshot knows none.
func (s *Snapshot) Of(aaguid string, certificates [][]byte, now time.Time) Standing {
	id, err := uuid.Parse(aaguid)
	if err != nil {
		return Standing{Status: Unknown}
	}
	m := s.Model(id)
	if m == nil {
		return Standing{Status: Unknown}
	}
	return standing(m.Reports, certificates, now)
}

// standing judges by the reports that are in effect: what is said against a model is not taken back by what is said after it, but by the
// day on which it ends.
func standing(reports []Report, certificates [][]byte, now time.Time) Standing {
	found := Standing{Status: OK}
	var certified *Report
	for i := range reports {
		r := &reports[i]
		if !r.inEffect(now) {
			continue
		}
		if _, says := levels[r.Status]; says && (certified == nil || r.From.IsZero() || !r.From.Before(certified.From)) {
			certified = r
		}
		found.Status = worse(found.Status, r.status(certificates))
	}
	if certified != nil {
		found.Level = levels[certified.Status]
	}
	return found
}

func (r *Report) inEffect(now time.Time) bool {
	return !r.From.After(now) && (r.Until.IsZero() || r.Until.After(now))
}

// status is what a report says of an authenticator.
func (r *Report) status(certificates [][]byte) Status {
	switch r.Status {
	case metadata.Revoked:
		return Revoked
	case metadata.Retired:
		return Retired
	case metadata.AttestationKeyCompromise, metadata.UserVerificationBypass, metadata.UserKeyRemoteCompromise,
		metadata.UserKeyPhysicalCompromise:
		if len(r.Certificates) == 0 || slices.ContainsFunc(r.Certificates, func(of [sha256.Size]byte) bool {
			return slices.ContainsFunc(certificates, func(has []byte) bool { return string(has) == string(of[:]) })
		}) {
			return Compromised
		}
		return OK
	case metadata.UpdateAvailable:
		return Update
	default:
		return OK
	}
}

func worse(a, b Status) Status {
	order := Statuses()
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}
