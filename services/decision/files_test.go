package decision_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/place/mmdbtest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestWhereARequestComesFromIsJudgedByTheOperatorsFilesAndTold(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	cities := mmdbtest.Write(now, map[string]mmdbtest.Entry{"192.0.2.0/24": mmdbtest.Located("BR", -23.55, -46.63, 50)})
	for name, content := range map[string]string{"cities.mmdb": string(cities), "tor.txt": "192.0.2.0/28\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"lists": {}`, `"lists": {"tor": {"kind": "address", "file": "tor.txt"}}`)
	policiestest.Edit(t, files, "data.json", `"riskyLists": []`, `"riskyLists": ["tor"]`)
	cfg := decision.Config{}
	cfg.Files.ListsDir, cfg.Files.CityDB, cfg.Files.ASNDB = dir, filepath.Join(dir, "cities.mmdb"), filepath.Join(dir, "lost.mmdb")
	svc := newService(t, serviceOptions{dir: policiestest.Dir(t, files), cfg: cfg, now: now})

	q := factstest.BusyUser(now)
	q.Client.RemoteAddress = "192.0.2.9"
	finish := service.FinishQuestion{Question: q.Question, Passkey: q.Account.Credentials[0], UV: true}
	finish.Login = &service.FinishedLogin{Route: event.Local, Counter: service.CounterNone}
	v, err := svc.Finish(t.Context(), finish)
	if err != nil || v.Place.Country != "BR" || v.Place.Point == nil || v.NewCountry {
		t.Errorf("it is told to be at %+v, a new country %t: %v", v.Place, v.NewCountry, err)
	}
	risky := false
	for _, reason := range v.Risk.Reasons {
		risky = risky || reason.Code == "risky-network"
	}
	if !risky {
		t.Errorf("judged %+v", v.Risk)
	}
	if wrong := svc.Files(); len(wrong) != 1 || !errors.Is(wrong[0], fs.ErrNotExist) {
		t.Errorf("wrong is %v", wrong)
	}
}
