package naming

// Flat adds the assignments by their paths below at.
func (a Assignments) Flat(at string, into map[string]any) {
	for _, one := range a {
		into[at+"."+one.Experiment] = string(one.Arm)
	}
}

// Flat adds the counters by their paths below at.
func (v *Velocity) Flat(at string, into map[string]any) {
	into[at+"."+CompleteCounters] = v.Complete
	for _, one := range v.Counters {
		into[at+"."+one.Name] = int64(one.Count)
	}
}
