package metadata_test

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
)

func is(status metadata.Status, level int) metadata.Standing {
	return metadata.Standing{Status: status, Level: level}
}

func TestWhatHasBecomeOfAModel(t *testing.T) {
	t.Parallel()
	s := metadatatest.New(t, name, now)
	batch := s.Between
	hash := sha256.Sum256(batch.Raw)
	bound := func(status string) map[string]any {
		return map[string]any{"status": status, "batchCertificate": base64.StdEncoding.EncodeToString(batch.Raw)}
	}
	from := func(status, day string) map[string]any { return map[string]any{"status": status, "effectiveDate": day} }
	until := func(status, day string) map[string]any { return map[string]any{"status": status, "sunsetDate": day} }
	for what, tc := range map[string]struct {
		reports []any
		chain   [][]byte
		want    metadata.Standing
	}{
		"nothing is said":                      {want: is(metadata.OK, 0)},
		"it is certified":                      {reports: []any{"FIDO_CERTIFIED"}, want: is(metadata.OK, 1)},
		"of two certificates the later counts": {reports: []any{"FIDO_CERTIFIED_L1", "FIDO_CERTIFIED_L3plus"}, want: is(metadata.OK, 6)},
		"whichever stands first": {
			reports: []any{from("FIDO_CERTIFIED_L2", "2026-05-01"), from("FIDO_CERTIFIED_L1", "2026-01-01")}, want: is(metadata.OK, 3),
		},
		"it is certified no longer":              {reports: []any{"FIDO_CERTIFIED_L2", "NOT_FIDO_CERTIFIED"}, want: is(metadata.OK, 0)},
		"it is revoked":                          {reports: []any{"FIDO_CERTIFIED_L1", "REVOKED"}, want: is(metadata.Revoked, 1)},
		"what is certified again is revoked yet": {reports: []any{"REVOKED", "FIDO_CERTIFIED_L1"}, want: is(metadata.Revoked, 1)},
		"it is given up":                         {reports: []any{"RETIRED", "UPDATE_AVAILABLE"}, want: is(metadata.Retired, 0)},
		"there is an update":                     {reports: []any{"UPDATE_AVAILABLE", "FIDO_CERTIFIED_L1"}, want: is(metadata.Update, 1)},
		"keys were extracted":                    {reports: []any{"USER_KEY_PHYSICAL_COMPROMISE"}, want: is(metadata.Compromised, 0)},
		"from afar":                              {reports: []any{"USER_KEY_REMOTE_COMPROMISE"}, want: is(metadata.Compromised, 0)},
		"users need not be verified":             {reports: []any{"USER_VERIFICATION_BYPASS"}, want: is(metadata.Compromised, 0)},
		"compromised weighs more than given up": {
			reports: []any{"ATTESTATION_KEY_COMPROMISE", "RETIRED"}, want: is(metadata.Compromised, 0),
		},
		"a batch is compromised, and not this": {
			reports: []any{bound("ATTESTATION_KEY_COMPROMISE")}, chain: [][]byte{make([]byte, 32)}, want: is(metadata.OK, 0),
		},
		"a batch is compromised, and this is it": {
			reports: []any{bound("ATTESTATION_KEY_COMPROMISE")}, chain: [][]byte{make([]byte, 32), hash[:]}, want: is(metadata.Compromised, 0),
		},
		"a batch, and nobody knows which this is": {reports: []any{bound("ATTESTATION_KEY_COMPROMISE")}, want: is(metadata.OK, 0)},
		"it will be revoked":                      {reports: []any{from("REVOKED", "2026-11-26")}, want: is(metadata.OK, 0)},
		"it is revoked from today":                {reports: []any{from("REVOKED", "2026-11-25")}, want: is(metadata.Revoked, 0)},
		"it was compromised until today": {
			reports: []any{until("USER_VERIFICATION_BYPASS", "2026-11-25")}, want: is(metadata.OK, 0),
		},
		"it is compromised until tomorrow": {
			reports: []any{until("USER_VERIFICATION_BYPASS", "2026-11-26")}, want: is(metadata.Compromised, 0),
		},
		"a word of tomorrow": {reports: []any{"ADMIRED"}, want: is(metadata.OK, 0)},
	} {
		said, err := metadata.Verify(s.Blob(t, 1, now, metadatatest.Model(model, nil, tc.reports...)), trust(s), now)
		if err != nil {
			t.Fatal(err)
		}
		if got := said.Of(model, tc.chain, now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", what, got, tc.want)
		}
		if got := said.Reports().Of(model, tc.chain, now); got != tc.want {
			t.Errorf("%s: of the reports alone %+v, want %+v", what, got, tc.want)
		}
	}
	said, err := metadata.Verify(s.Blob(t, 1, now, metadatatest.Model(model, nil)), trust(s), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, aaguid := range []string{"00000000-0000-0000-0000-000000000000", "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", "", "a model"} {
		if got := said.Of(aaguid, nil, now); got != (metadata.Standing{Status: metadata.Unknown}) {
			t.Errorf("%q is %+v", aaguid, got)
		}
	}
	var none *metadata.Snapshot
	if got := none.Of(model, nil, now); got.Status != metadata.Unknown {
		t.Errorf("without metadata it is %+v", got)
	}
}

// More that is said against a model never makes it better, in whatever order it is said.
func TestPropertyWhatIsSaidAgainstAModelStays(t *testing.T) {
	t.Parallel()
	words := []string{"FIDO_CERTIFIED_L1", "UPDATE_AVAILABLE", "RETIRED", "USER_VERIFICATION_BYPASS", "REVOKED", "NOT_FIDO_CERTIFIED"}
	rank := map[metadata.Status]int{}
	for i, status := range metadata.Statuses() {
		rank[status] = i
	}
	s := metadatatest.New(t, name, now)
	rapid.Check(t, func(r *rapid.T) {
		said := rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(r, "said")
		more := rapid.SampledFrom(words).Draw(r, "more")
		at := rapid.IntRange(0, len(said)).Draw(r, "at")
		of := func(words ...string) metadata.Status {
			reports := make([]any, len(words))
			for i, w := range words {
				reports[i] = w
			}
			snapshot, err := metadata.Verify(s.Blob(t, 1, now.Add(time.Hour), metadatatest.Model(model, nil, reports...)), trust(s), now)
			if err != nil {
				r.Fatal(err)
			}
			return snapshot.Of(model, nil, now).Status
		}
		longer := append(append(append([]string{}, said[:at]...), more), said[at:]...)
		if before, after := of(said...), of(longer...); rank[after] < rank[before] {
			r.Fatalf("%v is %s, and %v is %s", said, before, longer, after)
		}
	})
}
