package history

import (
	"reflect"
	"slices"
	"testing"

	"github.com/keyward/keyward/core/account"
)

// TestWhatIsReadOfACredentialIsCompared holds every field of a credential: one that is new must be compared, or have no part in a fold.
func TestWhatIsReadOfACredentialIsCompared(t *testing.T) {
	t.Parallel()
	noPart := []string{
		"PublicKey", "AttestationType", "BackupState", "UserVerified", "SignCount", "CloneWarning", "RPID", "Username", "Name", "LastUsedMs",
		"UsedOn", "Attestation",
	}
	for i := range reflect.TypeFor[account.Credential]().NumField() {
		var changed account.Credential
		field := reflect.ValueOf(&changed).Elem().Field(i)
		switch field.Kind() {
		case reflect.String:
			field.SetString("x")
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int64:
			field.SetInt(1)
		case reflect.Uint32:
			field.SetUint(1)
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		default:
			t.Fatalf("a field of the kind %s", field.Kind())
		}
		name := reflect.TypeFor[account.Credential]().Field(i).Name
		if madeAlike(account.Credential{}, changed) != slices.Contains(noPart, name) {
			t.Errorf("%s: compared, or with a part in a fold, but not both", name)
		}
		if !slices.Contains(noPart, name) && !madeAlike(changed, asMade(&changed)) {
			t.Errorf("%s is compared and not kept", name)
		}
	}
}
