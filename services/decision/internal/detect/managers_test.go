package detect_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

func TestAWordOnManagersMeansNothingWhereNoneServesPasskeys(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for version, want := range map[string]string{
		"iOS 16": "os-too-old", "iOS 17": "manager-absent", "Android 13": "os-too-old", "Android 14": "manager-absent",
	} {
		os, major, _ := strings.Cut(version, " ")
		d := k.Login(detect.Input{Complete: true, Question: service.Question{
			Account: &account.Account{ID: "usr-1", Status: account.StatusActive, Credentials: []account.Credential{
				{ID: "cre-1", AAGUID: "d548826e-79b4-db40-a3d8-11116f7e8349", BackupEligible: true, CreatedOS: "Windows"},
			}},
			Client: rest.ClientInformation{
				ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: os, OSVersion: major, BrowserName: "Firefox", BrowserVersion: "140"},
				UserVerifyingPlatformAuthenticatorAvailable: new(true), PasswordManagerAvailable: new(false),
			},
		}})
		if got := d.Reaches(k)[0].LocalReason; got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}
