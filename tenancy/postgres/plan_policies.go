package postgres

import "slices"

// policies protects a table, or lets it be watched.
func (p *planner) policies(t *tableState) {
	args := literal(t.name)
	column := ""
	if t.tenant != tenantColumn {
		column = ", " + literal(unquote(t.tenant))
	}
	for _, s := range t.sequences {
		if !s.open {
			p.say(apart, "Its numbers tell how many rows all tenants add.", "GRANT USAGE ON SEQUENCE "+s.name+" TO art32_library, art32_app")
		}
	}
	watch := p.o.UnsafeWatch != "" && (!t.begun || t.watch != "")
	switch {
	case watch && (t.watch != p.o.UnsafeWatch || !t.stands):
		p.say(apart, "", "SELECT art32.unsafe_watch("+args+", "+literal(p.o.UnsafeWatch)+column+")")
	case watch:
	case !t.stands:
		p.say(apart, "", "SELECT art32.protect("+args+column+")")
	}
	if !watch && t.watch != "" {
		p.say(apart, "", "SELECT art32.unwatch("+args+")")
	}
	if t.schema != "public" && !t.stands {
		p.say(owners, "", "GRANT USAGE ON SCHEMA "+t.schema+" TO art32_library, art32_app, art32_across")
	}
}

// views lets views read with the rights of who asks.
func (p *planner) views() {
	for _, v := range p.seen {
		reads := func(t *tableState) bool { return slices.Contains(v.reads, t.id) }
		if !slices.ContainsFunc(p.chosen, reads) {
			continue
		}
		if v.materialised && v.reached {
			p.say(owners, "It holds the rows of all tenants, and policies do not reach it.", "REVOKE ALL ON "+v.name+" FROM PUBLIC"+p.groups())
		}
		switch {
		case v.materialised && slices.ContainsFunc(p.chosen, func(t *tableState) bool { return reads(t) && !t.begun }):
			p.leave("materialised view "+v.name+" reads tables of tenants: with its owner's rights it will be refreshed to no row", "make a table of tenants of it, or a view")
		case !v.materialised && !v.invoker:
			if v.owner != p.owner {
				p.say(owners, "", "ALTER VIEW "+v.name+" OWNER TO "+ident(p.owner))
			}
			p.say(apart, "Whoever reads it needs the right to read its tables.", "ALTER VIEW "+v.name+" SET (security_invoker = true)")
		}
	}
}

// groups are the library's roles, as far as there are any.
func (p *planner) groups() string {
	if p.ready {
		return ", art32_library, art32_app, art32_across"
	}
	return ""
}

// definers points at functions that step over the policies.
func (p *planner) definers() {
	if len(p.chosen) == 0 {
		return
	}
	for _, f := range p.definer {
		p.leave("function "+f+" runs with the rights of its owner, and callers' text may call it", "ALTER FUNCTION "+f+" SECURITY INVOKER, or REVOKE EXECUTE ON FUNCTION "+f+" FROM PUBLIC")
	}
}
