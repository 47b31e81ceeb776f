/* src/spec/schema.h - the compiled schemas, and what reads an element they have checked; for the
 * files of src/spec only. */
#ifndef XENO_SPEC_SCHEMA_H
#define XENO_SPEC_SCHEMA_H

#include "spec/requirement.h"
#include "spec/task-doc.h"
#include "xml/xml.h"

const struct xeno_xml_schema *xeno_schema_requirements(void);
const struct xeno_xml_schema *xeno_schema_task(void);
const struct xeno_xml_schema *xeno_schema_service(void);

/* From EnvironmentalRequirements and Task, wherever in a document they stand. Errors: as those of
 * the _parse forms, without xml.h's. */
int xeno_requirement_from(const struct xeno_xml_node *root, struct xeno_requirement **ret,
                          struct xeno_err *err);
int xeno_task_doc_from(const struct xeno_xml_node *root, struct xeno_task_doc **ret,
                       struct xeno_err *err);

#endif
