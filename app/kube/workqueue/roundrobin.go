package workqueue

// roundRobin holds names by group. The groups take turns; the names of one group are in order of arrival.
type roundRobin struct {
	// groups are in the order of their turns.
	groups []string
	names  map[string][]string
}

func newRoundRobin() roundRobin { return roundRobin{names: map[string][]string{}} }

func (r *roundRobin) empty() bool { return len(r.groups) == 0 }

func (r *roundRobin) push(group, name string) {
	if len(r.names[group]) == 0 {
		r.groups = append(r.groups, group)
	}
	r.names[group] = append(r.names[group], name)
}

// peek returns the name that pop returns next. There must be one.
func (r *roundRobin) peek() string { return r.names[r.groups[0]][0] }

func (r *roundRobin) pop() string {
	name, group := r.peek(), r.groups[0]
	r.groups = r.groups[1:]
	if r.names[group] = r.names[group][1:]; len(r.names[group]) > 0 {
		r.groups = append(r.groups, group)
	} else {
		delete(r.names, group)
	}
	return name
}
