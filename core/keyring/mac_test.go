package keyring_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/keyward/keyward/core/keyring"
)

func TestAKeptMACIsThatOfTheKeyForWhateverMessageCameBefore(t *testing.T) {
	t.Parallel()
	ring, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	key := ring.Newest(keyring.EnvironmentHandle)
	var work sync.WaitGroup
	for caller := range 4 {
		work.Go(func() {
			for k := range 200 {
				message := make([]byte, 37*k%211)
				for i := range message {
					message[i] = byte(caller + k + i)
				}
				right := hmac.New(sha256.New, key.Secret)
				right.Write(message)
				kept, err := ring.MAC(keyring.EnvironmentHandle, key.Version)
				if err != nil {
					t.Error(err)
					return
				}
				if got := kept.Sum(message); !hmac.Equal(got[:], right.Sum(nil)) {
					t.Errorf("caller %d, message %d: another code", caller, k)
				}
			}
		})
	}
	work.Wait()
	if _, err := ring.MAC(keyring.EnvironmentHandle, key.Version+1); err == nil {
		t.Error("there is a key of a version that there is not")
	}
}
