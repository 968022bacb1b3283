package transfer

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// The bounds of W3C WebAuthn: §5.4.3 of user handles, §4 of credential IDs.
const (
	maxHandle       = 64
	maxCredentialID = 1023
	maxOfEach       = 1000 // credentials, identifiers and so on of one user
	maxFullName     = 255  // characters
	maxLabels       = 16
	maxName         = 200 // characters, of a passkey
	maxFormat       = 32  // bytes, of a format of attestation (W3C WebAuthn §8.1)
	maxCertificates = 10
	maxObject       = 8 << 10 // bytes, of an attestation object
)

// Account returns the account that the user becomes in a project, or every fault of the record, by field. What the record leaves open is
// filled in: times from nowMs, IDs from what they are of, so that the same record gives the same account.
func (u User) Account(project ident.ProjectID, rpID string, nowMs int64) (account.Account, []fault.FieldError) {
	c := completion{project: project, rpID: rpID, nowMs: nowMs}
	a := account.Account{
		Project: project, ID: c.userID(u), FullName: u.FullName, Status: u.Status, UserHandle: u.UserHandle,
		Unverified: u.Unverified, CreatedMs: c.time("createdMs", u.CreatedMs), UpdatedMs: c.time("updatedMs", u.UpdatedMs),
	}
	if a.Waits() {
		a.SignUpUntilMs = nowMs + account.SignUpHold.Milliseconds()
	}
	if !u.Status.Valid() {
		c.fault("status", "must be one of pending, active, disabled")
	}
	if u.FullName != nil && utf8.RuneCountInString(*u.FullName) > maxFullName {
		c.fault("fullName", "must be at most %d characters long", maxFullName)
	}
	if len(u.UserHandle) > maxHandle {
		c.fault("userHandle", "must be from 1 to %d bytes long", maxHandle)
	}
	if len(u.UserHandle) == 0 && len(u.Credentials) > 0 {
		c.fault("userHandle", "cannot be blank: the passkeys hold it, and a login names it")
	}
	if len(u.UserHandle) == 0 {
		a.UserHandle = []byte(a.ID)
	}
	if u.Explicit {
		text := string(a.UserHandle)
		a.ExplicitWebauthnID = &text
	}
	a.Labels = c.labels(u.Labels)
	a.Identifiers = c.identifiers(a.ID, u.Identifiers)
	a.SocialAccounts = c.socialAccounts(u.SocialAccounts)
	a.Credentials = c.credentials(u.Credentials)
	a.Deleted = c.tombstones(u.Deleted)
	a.Environments = c.environments(u.Environments)
	return a, c.faults
}

var labelForm = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// labels returns each label once, sorted. Which there are is the affair of the policy, which may declare them later.
func (c *completion) labels(given []string) []string {
	if len(given) > maxLabels {
		c.fault("labels", "must be at most %d", maxLabels)
		return nil
	}
	for i, label := range given {
		if !labelForm.MatchString(label) {
			c.fault(fmt.Sprintf("labels.%d", i), "must be 1 to 32 small letters, digits and hyphens")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(given)))
}

// completion collects the faults of one record.
type completion struct {
	project ident.ProjectID
	rpID    string
	nowMs   int64
	faults  []fault.FieldError
}

func (c *completion) fault(field, format string, args ...any) {
	c.faults = append(c.faults, fault.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *completion) time(field string, ms int64) int64 {
	const latest = 4_102_444_800_000 // the year 2100: seconds or microseconds given by mistake are far from it
	if ms < 0 || ms > latest || ms > 0 && ms < 100_000_000_000 {
		c.fault(field, "must be a time in Unix milliseconds")
	}
	if ms == 0 {
		return c.nowMs
	}
	return ms
}

func (c *completion) userID(u User) ident.UserID {
	switch {
	case u.ID != "":
		if _, err := ident.ParseUserID(string(u.ID)); err != nil {
			c.fault("userID", "%s", err)
		}
		return u.ID
	case len(u.UserHandle) > 0:
		return ident.UserID("usr-" + derived(string(c.project), "handle", string(u.UserHandle)))
	case len(u.Identifiers) > 0:
		first := u.Identifiers[0]
		return ident.UserID("usr-" + derived(string(c.project), string(first.Type), account.EarlierIdentifierKey(first.Type, first.Value)))
	}
	c.fault("userID", "cannot be blank without a user handle and identifiers")
	return ""
}

func (c *completion) identifiers(user ident.UserID, all []Identifier) []account.Identifier {
	if len(all) > maxOfEach {
		c.fault("identifiers", "must be at most %d", maxOfEach)
		return nil
	}
	seen, primary := map[string]bool{}, map[account.IdentifierType]bool{}
	kept := make([]account.Identifier, 0, len(all))
	for i, one := range all {
		field := func(name string) string { return fmt.Sprintf("identifiers.%d.%s", i, name) }
		if !one.Type.Valid() {
			c.fault(field("type"), "must be one of email, phone, username")
		}
		if !one.Status.Valid() {
			c.fault(field("status"), "must be one of pending, primary, verified")
		}
		if clean, err := account.CleanIdentifier(one.Type, one.Value); err == nil {
			one.Value = clean
		} else if one.Type.Valid() {
			c.fault(field("value"), "%s", err)
		}
		if one.Status == account.IdentifierStatusPrimary {
			if primary[one.Type] {
				c.fault(field("status"), "must be primary for one identifier of a type only")
			}
			primary[one.Type] = true
		}
		normal := string(one.Type) + "\x00" + account.IdentifierKey(one.Type, one.Value)
		if seen[normal] {
			c.fault(field("value"), "is there twice")
		}
		seen[normal] = true
		if one.ID == "" {
			earlier := string(one.Type) + "\x00" + account.EarlierIdentifierKey(one.Type, one.Value)
			one.ID = ident.IdentifierID("ide-" + derived(string(c.project), string(user), earlier))
		} else {
			c.id(field("identifierID"), "ide-", string(one.ID))
		}
		one.CreatedMs = c.time(field("createdMs"), one.CreatedMs)
		kept = append(kept, account.Identifier(one))
	}
	return kept
}

func (c *completion) id(field, prefix, id string) {
	if err := ident.Check(prefix, id); err != nil {
		c.fault(field, "%s", err)
	}
}

func (c *completion) socialAccounts(all []SocialAccount) []account.SocialAccount {
	if len(all) > maxOfEach {
		c.fault("socialAccounts", "must be at most %d", maxOfEach)
		return nil
	}
	var kept []account.SocialAccount
	for i, one := range all {
		field := func(name string) string { return fmt.Sprintf("socialAccounts.%d.%s", i, name) }
		if !one.Provider.Valid() {
			c.fault(field("providerType"), "must be one of google, microsoft, github")
		}
		if one.ForeignID == "" || len(one.ForeignID) > 255 {
			c.fault(field("foreignID"), "must be from 1 to 255 bytes long")
		}
		if one.ID == "" {
			one.ID = ident.SocialAccountID("soc-" + derived(string(c.project), string(one.Provider), one.ForeignID))
		} else {
			c.id(field("socialAccountID"), "soc-", string(one.ID))
		}
		one.CreatedMs = c.time(field("createdMs"), one.CreatedMs)
		kept = append(kept, account.SocialAccount(one))
	}
	return kept
}

// attestation takes over what was judged elsewhere: whoever imports vouches for it, as for all the rest.
func (c *completion) attestation(field func(string) string, t *Attestation) *account.Attestation {
	if t == nil {
		return nil
	}
	if t.Format == "" || len(t.Format) > maxFormat {
		c.fault(field("attestation.format"), "must be from 1 to %d bytes long", maxFormat)
	}
	if !t.Trust.Valid() {
		c.fault(field("attestation.trust"), "must be one of none, self, unverified, verified")
	}
	if len(t.Step) > maxFormat {
		c.fault(field("attestation.step"), "must be at most %d bytes long", maxFormat)
	}
	if len(t.Certificates) > maxCertificates {
		c.fault(field("attestation.certificates"), "must be at most %d", maxCertificates)
	}
	a := &account.Attestation{Format: t.Format, Trust: t.Trust, Step: t.Step}
	for i, hash := range t.Certificates {
		if len(hash) != sha256.Size {
			c.fault(field(fmt.Sprintf("attestation.certificates.%d", i)), "must be a SHA-256")
		}
		a.Certificates = append(a.Certificates, hash)
	}
	if a.Kept = len(t.Object) > 0; a.Kept && len(t.ClientDataHash) != sha256.Size {
		c.fault(field("attestation.clientDataHash"), "must be a SHA-256, as there is an object")
	}
	if len(t.Object) > maxObject {
		c.fault(field("attestation.object"), "must be at most %d bytes long", maxObject)
	}
	return a
}

func (c *completion) credentials(all []Credential) []account.Credential {
	if len(all) > maxOfEach {
		c.fault("credentials", "must be at most %d", maxOfEach)
		return nil
	}
	seen := map[string]bool{}
	var kept []account.Credential
	for i, one := range all {
		field := func(name string) string { return fmt.Sprintf("credentials.%d.%s", i, name) }
		c.credentialID(field("credentialID"), one.CredentialID, seen)
		if len(one.PublicKey) == 0 {
			c.fault(field("publicKey"), "cannot be blank")
		}
		for j, transport := range one.Transports {
			if !slices.Contains([]string{"usb", "nfc", "ble", "internal", "hybrid", "smart-card"}, transport) {
				c.fault(fmt.Sprintf("credentials.%d.transports.%d", i, j), "must be one of usb, nfc, ble, internal, hybrid, smart-card")
			}
		}
		if one.Attachment != "" && one.Attachment != "platform" && one.Attachment != "cross-platform" {
			c.fault(field("attachment"), "must be platform, cross-platform or empty")
		}
		if one.BackupState && !one.BackupEligible {
			c.fault(field("backupState"), "must not be true for a passkey that is not backup eligible")
		}
		aaguid, ok := canonicalAAGUID(one.AAGUID)
		if !ok {
			c.fault(field("aaguid"), "must be a UUID")
		}
		if one.RPID == "" {
			one.RPID = c.rpID
		} else if one.RPID != c.rpID && !strings.HasSuffix(one.RPID, "."+c.rpID) {
			c.fault(
				field("rpID"), "must be %s, that of the project, or a subdomain of it: a passkey of another relying party can never log in here",
				c.rpID,
			)
		}
		if utf8.RuneCountInString(one.Name) > maxName {
			c.fault(field("name"), "must be at most %d characters long", maxName)
		}
		if one.ID == "" {
			one.ID = ident.CredentialID("cre-" + derived(string(c.project), "credential", string(one.CredentialID)))
		} else {
			c.id(field("id"), "cre-", string(one.ID))
		}
		if one.Environment != "" {
			c.id(field("clientEnvID"), "env-", string(one.Environment))
		}
		if one.AttestationType == "" {
			one.AttestationType = "none"
		}
		kept = append(kept, account.Credential{
			ID:              one.ID,
			CredentialID:    one.CredentialID,
			PublicKey:       one.PublicKey,
			AttestationType: one.AttestationType,
			AAGUID:          aaguid,
			Transports:      one.Transports,
			Attachment:      one.Attachment,
			BackupEligible:  one.BackupEligible,
			BackupState:     one.BackupState,
			UserVerified:    one.UserVerified,
			SignCount:       one.SignCount,
			RPID:            one.RPID,
			Username:        one.Username,
			Name:            one.Name,
			CreatedOS:       one.CreatedOS,
			CreatedBrowser:  one.CreatedBrowser,
			Environment:     one.Environment,
			CreatedMs:       c.time(field("createdMs"), one.CreatedMs),
			LastUsedMs:      c.time(field("lastUsedMs"), one.LastUsedMs),
			UsedOn:          one.UsedOn,
			Attestation:     c.attestation(field, one.Attestation),
		})
	}
	return kept
}

func (c *completion) credentialID(field string, id []byte, seen map[string]bool) {
	if len(id) == 0 || len(id) > maxCredentialID {
		c.fault(field, "must be from 1 to %d bytes long", maxCredentialID)
		return
	}
	if seen[string(id)] {
		c.fault(field, "is there twice: %s", base64.RawURLEncoding.EncodeToString(id))
	}
	seen[string(id)] = true
}

func (c *completion) tombstones(all []Tombstone) []account.Tombstone {
	var kept []account.Tombstone
	for i, one := range all {
		c.id(fmt.Sprintf("deletedCredentials.%d.id", i), "cre-", string(one.ID))
		kept = append(
			kept,
			account.Tombstone{
				ID: one.ID, CredentialID: one.CredentialID, DeletedMs: c.time(fmt.Sprintf("deletedCredentials.%d.deletedMs", i), one.DeletedMs),
			},
		)
	}
	return kept
}

func (c *completion) environments(all []Environment) []account.Environment {
	if len(all) > maxOfEach {
		c.fault("clientEnvs", "must be at most %d", maxOfEach)
		return nil
	}
	var kept []account.Environment
	for i, one := range all {
		field := func(name string) string { return fmt.Sprintf("clientEnvs.%d.%s", i, name) }
		c.id(field("id"), "env-", string(one.ID))
		kept = append(kept, account.Environment{
			ID:             one.ID,
			OSName:         one.OSName,
			OSVersion:      one.OSVersion,
			BrowserName:    one.BrowserName,
			BrowserVersion: one.BrowserVersion,
			UserAgent:      one.UserAgent,
			JSFingerprint:  one.JSFingerprint,
			CreatedMs:      c.time(field("createdMs"), one.CreatedMs),
			LastSeenMs:     c.time(field("lastSeenMs"), one.LastSeenMs),
		})
	}
	return kept
}

// canonicalAAGUID returns the lower-case UUID form; an empty one is all zeros.
func canonicalAAGUID(text string) (string, bool) {
	const zero = "00000000-0000-0000-0000-000000000000"
	if text == "" {
		return zero, true
	}
	text = strings.ToLower(text)
	if len(text) != len(zero) {
		return "", false
	}
	for i, c := range []byte(text) {
		if zero[i] == '-' != (c == '-') || c != '-' && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return "", false
		}
	}
	return text, true
}
