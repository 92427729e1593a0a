package typecheck

import (
	"fmt"
	"maps"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
)

// systemTables are those of the catalogue that statements ask, with the columns that they ask for.
const systemTables = `
CREATE TABLE pg_catalog.pg_roles (oid OID, rolname NAME, rolsuper BOOL, rolcreaterole BOOL, rolcreatedb BOOL, rolcanlogin BOOL,
    rolconnlimit INT4,
    rolpassword TEXT, rolconfig TEXT[]);
CREATE TABLE pg_catalog.pg_authid (oid OID, rolname NAME, rolcanlogin BOOL, rolpassword TEXT);
CREATE TABLE pg_catalog.pg_database (oid OID, datname NAME, datdba OID, datallowconn BOOL, datacl TEXT[]);
CREATE TABLE pg_catalog.pg_namespace (oid OID, nspname NAME, nspowner OID, nspacl TEXT[]);
CREATE TABLE pg_catalog.pg_class (oid OID, relname NAME, relnamespace OID, reltype OID, relowner OID, relpages INT4, reltuples
    FLOAT4,
    relhasindex BOOL, relkind "char", relnatts INT2, relacl TEXT[]);
CREATE TABLE pg_catalog.pg_attribute (attrelid OID, attname NAME, atttypid OID, attlen INT2, attnum INT2, atttypmod INT4,
    attnotnull BOOL,
    atthasdef BOOL, attidentity "char", attisdropped BOOL);
CREATE TABLE pg_catalog.pg_attrdef (oid OID, adrelid OID, adnum INT2, adbin TEXT);
CREATE TABLE pg_catalog.pg_index (indexrelid OID, indrelid OID, indnatts INT2, indisunique BOOL, indisprimary BOOL, indisvalid
    BOOL,
    indisready BOOL, indislive BOOL, indexprs TEXT, indpred TEXT);
CREATE TABLE pg_catalog.pg_constraint (oid OID, conname NAME, connamespace OID, contype "char", convalidated BOOL, conrelid OID,
    conindid OID,
    confrelid OID, condef TEXT);
CREATE TABLE pg_catalog.pg_tables (schemaname NAME, tablename NAME, tableowner NAME, tablespace NAME, hasindexes BOOL);
CREATE TABLE pg_catalog.pg_indexes (crdb_oid OID, schemaname NAME, tablename NAME, indexname NAME, tablespace NAME, indexdef
    TEXT);
CREATE TABLE pg_catalog.pg_settings (name TEXT, setting TEXT, unit TEXT, vartype TEXT);
CREATE TABLE pg_catalog.pg_type (oid OID, typname NAME, typnamespace OID);
CREATE TABLE pg_catalog.pg_description (objoid OID, classoid OID, objsubid INT4, description TEXT);
CREATE TABLE pg_catalog.pg_sequences (schemaname NAME, sequencename NAME, start_value INT8, increment_by INT8, last_value INT8);
CREATE TABLE information_schema.tables (table_catalog TEXT, table_schema TEXT, table_name TEXT, table_type TEXT);
CREATE TABLE information_schema.columns (table_catalog TEXT, table_schema TEXT, table_name TEXT, column_name TEXT,
    ordinal_position INT8,
    column_default TEXT, is_nullable TEXT, data_type TEXT, character_maximum_length INT8, is_identity TEXT);
CREATE TABLE information_schema.schemata (catalog_name TEXT, schema_name TEXT);
CREATE TABLE crdb_internal.tables (table_id INT8, parent_id INT8, name TEXT, database_name TEXT, schema_name TEXT, state TEXT,
    drop_time TIMESTAMP);
CREATE TABLE crdb_internal.databases (id INT8, name TEXT, owner NAME);
`

// catalogue is the tables by name, with the schema where it is not the current one.
type catalogue map[string]*table

type table struct {
	columns []column
}

// frozen returns a catalogue with the same tables that cannot be changed.
func (c catalogue) frozen() catalogue {
	view := maps.Clone(c)
	view[frozenMark] = nil
	return view
}

const frozenMark = "\x00frozen"

func (c catalogue) isFrozen() bool { _, is := c[frozenMark]; return is }

func (c catalogue) find(schema, name string) (*table, bool) {
	t, ok := c[key(schema, name)]
	if !ok && schema == "" {
		t, ok = c["pg_catalog."+name]
	}
	return t, ok
}

func key(schema, name string) string {
	if schema == "" || schema == "public" {
		return name
	}
	return schema + "." + name
}

// make notes a table that a statement makes.
func (a *analysis) make(n *tree.CreateTable) error {
	if a.tables.isFrozen() {
		return errFrozen
	}
	t := &table{}
	if n.AsSource != nil {
		columns, err := a.query(n.AsSource, &scope{}, nil)
		if err != nil {
			return err
		}
		t.columns = columns
	}
	for _, def := range n.Defs {
		d, ok := def.(*tree.ColumnTableDef)
		if !ok || d.Type == nil {
			continue
		}
		if err := a.define(t, d); err != nil {
			return err
		}
	}
	name := key(n.Table.Schema(), n.Table.Table())
	if _, there := a.tables[name]; there && n.IfNotExists {
		return nil
	}
	a.tables[name] = t
	return nil
}

// define adds a column, whose default must be of its type.
func (a *analysis) define(t *table, d *tree.ColumnTableDef) error {
	typ, err := tree.ResolveType(a.ctx, d.Type, nil)
	if err != nil {
		return err
	}
	for _, c := range t.columns {
		if c.name == string(d.Name) {
			return nil
		}
	}
	t.columns = append(t.columns, column{name: string(d.Name), typ: typ})
	if d.DefaultExpr.Expr == nil {
		return nil
	}
	return a.assign(d.DefaultExpr.Expr, &scope{}, string(d.Name), typ)
}

// alter notes the columns that a statement adds, and checks the defaults that it sets.
func (a *analysis) alter(n *tree.AlterTable) error {
	if a.tables.isFrozen() {
		return errFrozen
	}
	name := n.Table.ToTableName()
	old, ok := a.tables.find(name.Schema(), name.Table())
	if !ok {
		if n.IfExists {
			return nil
		}
		return fmt.Errorf("unknown table %s", name.String())
	}
	t := &table{columns: append([]column(nil), old.columns...)}
	for _, cmd := range n.Cmds {
		switch cmd := cmd.(type) {
		case *tree.AlterTableAddColumn:
			if err := a.define(t, cmd.ColumnDef); err != nil {
				return err
			}
		case *tree.AlterTableSetDefault:
			if cmd.Default == nil {
				continue
			}
			c, err := columnOf(t, string(cmd.Column))
			if err != nil {
				return err
			}
			if err := a.assign(cmd.Default, &scope{}, c.name, c.typ); err != nil {
				return err
			}
		}
	}
	a.tables[key(name.Schema(), name.Table())] = t
	return nil
}

func columnOf(t *table, name string) (column, error) {
	for _, c := range t.columns {
		if c.name == name {
			return c, nil
		}
	}
	return column{}, fmt.Errorf("column %q does not exist", name)
}
