/* src/spec/schema.h - the compiled schemas; for the files of src/spec only. */
#ifndef XENO_SPEC_SCHEMA_H
#define XENO_SPEC_SCHEMA_H

#include "xml/xml.h"

const struct xeno_xml_schema *xeno_schema_requirements(void);
const struct xeno_xml_schema *xeno_schema_task(void);

#endif
