package app

import "context"

// warn says, one line each, what is good for a laptop and not for where others sign in.
func (a *App) warn(ctx context.Context) {
	for _, line := range a.cfg.Unsafe() {
		a.log.WarnContext(ctx, line)
	}
	if a.projects == nil {
		return
	}
	for _, p := range a.projects.All() {
		if !p.Frontend.NoSignUp {
			a.log.WarnContext(
				ctx, "anybody can sign up; set noSignUp with keyward project frontend set if users are created by a backend", "project", p.ID,
			)
		}
	}
}
