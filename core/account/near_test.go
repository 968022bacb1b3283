package account

import (
	"fmt"
	"runtime"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/ident"
)

// usual is an account with passkeys, made and used in one environment for every three of them, as it is read from the bucket.
func usual(t *testing.T, n, passkeys int) *View {
	t.Helper()
	made := Account{Project: "pro-8089544201090795016", ID: ident.NewUserID(), Status: StatusActive, UserHandle: make([]byte, 32)}
	for i := range passkeys {
		environment := ident.EnvironmentID(fmt.Sprintf("cle-%019d", n*passkeys+i))
		made.Credentials = append(made.Credentials, Credential{
			ID: ident.NewCredentialID(), CredentialID: make([]byte, 32), PublicKey: make([]byte, 77), AttestationType: "none",
			AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", Transports: []string{"internal", "hybrid"}, Attachment: "platform",
			RPID: "example.com", Username: "ada@example.com", CreatedOS: "iOS", CreatedBrowser: "Safari", Environment: environment,
		})
		if i%3 > 0 {
			continue
		}
		made.Environments = append(made.Environments, Environment{
			ID: environment, OSName: "iOS", OSVersion: "18.6", BrowserName: "Safari", BrowserVersion: "18.6",
			UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/604.1",
		})
	}
	raw, err := jsonv2.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var a Account
	if err := jsonv2.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	return &View{Account: &a, stored: &a, Stamp: "a.12345678.1"}
}

func TestWhatAccountsAreSaidToTakeIsAboutWhatTheyTake(t *testing.T) {
	heap := func() (bytes uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, passkeys := range []int{0, 1, 3, 20} {
		const accounts = 2000
		kept, said, before := make([]*View, accounts), 0, heap()
		for i := range kept {
			kept[i] = usual(t, i, passkeys)
			said += kept[i].bytes()
		}
		takes := int(heap() - before)
		t.Logf("%d passkeys: %d bytes, said to be %d", passkeys, takes/accounts, said/accounts)
		if said < takes*2/3 || said > takes*3/2 {
			t.Errorf("accounts with %d passkeys take %d bytes, and are said to take %d", passkeys, takes/accounts, said/accounts)
		}
		runtime.KeepAlive(kept)
	}
}

func TestAccountsAreKeptByWhatTheyTake(t *testing.T) {
	t.Parallel()
	for passkeys, want := range map[int][2]int{1: {120, 200}, 3: {80, 120}, 20: {10, 20}} {
		n, err := newNear(100)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			n.keep(fmt.Sprint("pro-1.usr-", i), usual(t, i, passkeys))
		}
		n.CleanUp()
		if kept := n.EstimatedSize(); kept < want[0] || kept > want[1] {
			t.Errorf("of accounts with %d passkeys, %d are kept in the room of 100 usual ones", passkeys, kept)
		}
	}
}

func TestAsManyAccountsAreKeptAsSuitTheMemory(t *testing.T) {
	t.Parallel()
	for memory, want := range map[int64]int{220 << 20: 10_240, 2 << 30: 95_325, 0: 0} {
		if got := Fitting(memory); got != want {
			t.Errorf("of %d bytes: %d, want %d", memory, got, want)
		}
	}
}
