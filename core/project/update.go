package project

// Update says what of a project changes; nil leaves a member as it is.
type Update struct {
	Name, RPName          *string
	Origins               *[]string // on the RP ID, or an app's
	RelatedOrigins, Hosts *[]string
	UserVerification      *string // empty = as the installation has it
}

// Apply changes a project, or reports the first field at fault and leaves it as it was.
func (u Update) Apply(p *Project) error {
	changed := *p
	if u.Name != nil {
		if err := changed.SetName(*u.Name); err != nil {
			return err
		}
	}
	if u.RPName != nil {
		if err := checkText("rpName", *u.RPName); err != nil {
			return err
		}
		changed.RPName = *u.RPName
	}
	if u.Origins != nil || u.RelatedOrigins != nil {
		own, related := changed.Own(), changed.Related()
		if u.Origins != nil {
			own = *u.Origins
		}
		if u.RelatedOrigins != nil {
			related = *u.RelatedOrigins
		}
		if err := changed.SetOrigins(own, related); err != nil {
			return err
		}
	}
	if u.Hosts != nil {
		if err := changed.SetHosts(*u.Hosts); err != nil {
			return err
		}
	}
	if u.UserVerification != nil {
		if err := changed.SetUserVerification(*u.UserVerification); err != nil {
			return err
		}
	}
	*p = changed
	return nil
}
