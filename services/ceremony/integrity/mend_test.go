package integrity_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/services/ceremony/integrity"
)

func TestEachFindingSaysWhatHelps(t *testing.T) {
	t.Parallel()
	for kind, want := range map[integrity.Kind]string{
		integrity.EndLost: "keyward restore", integrity.MessagesLost: "keyward restore", integrity.Gap: "keyward restore",
		integrity.NoAccount: "keyward restore", integrity.NoIndex: "add it again", integrity.DeletedAccount: "delete the user",
		integrity.Unreadable: "the version of Keyward that wrote it",
	} {
		if got := (integrity.Finding{Kind: kind}).Mend(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}
