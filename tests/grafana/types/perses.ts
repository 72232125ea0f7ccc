// A dashboard of Perses, with the options of the plugins that we use.
import type { DashboardResource, ListVariableDefinition, PanelDefinition } from '@perses-dev/core';
import type { BarChartDefinition } from '@perses-dev/bar-chart-plugin/lib/bar-chart-model';
import type { MarkdownPanelDefinition } from '@perses-dev/markdown-plugin/lib/markdown-panel-model';
import type { PrometheusTimeSeriesQuerySpec } from '@perses-dev/prometheus-plugin/lib/plugins/prometheus-time-series-query/time-series-query-model';
import type { PrometheusLabelValuesVariableOptions } from '@perses-dev/prometheus-plugin/lib/plugins/types';
import type { StatChartDefinition } from '@perses-dev/stat-chart-plugin/lib/stat-chart-model';
import type { StatusHistoryChartOptions } from '@perses-dev/status-history-chart-plugin/lib/status-history-model';
import type { CellSettings, ColumnSettings, TableOptions } from '@perses-dev/table-plugin/lib/table-model';
import type { TimeSeriesChartDefinition } from '@perses-dev/timeseries-chart-plugin/lib/time-series-chart-model';

interface Plugin<Kind extends string, Spec> {
  kind: Kind;
  spec: Spec;
}

// What the newest plugins have and the newest packages do not: `cellSettings` of a column, `instant`.
type Column = ColumnSettings & { cellSettings?: CellSettings[] };
type Table = Plugin<'Table', Omit<TableOptions, 'columnSettings'> & { columnSettings?: Column[] }>;
type InstantQuery = Plugin<'PrometheusTimeSeriesQuery', PrometheusTimeSeriesQuerySpec & { instant?: boolean }>;

type AnyChart =
  | BarChartDefinition
  | MarkdownPanelDefinition
  | Plugin<'StatusHistoryChart', StatusHistoryChartOptions>
  | StatChartDefinition
  | Table
  | TimeSeriesChartDefinition;

interface Panel {
  kind: 'Panel';
  spec: {
    display: PanelDefinition['spec']['display'];
    plugin: AnyChart;
    queries?: Plugin<'TimeSeriesQuery', { plugin: InstantQuery }>[];
  };
}

interface Variable {
  kind: 'ListVariable';
  spec: Omit<ListVariableDefinition['spec'], 'plugin'> & {
    plugin: Plugin<'PrometheusLabelValuesVariable', PrometheusLabelValuesVariableOptions>;
  };
}

export interface Board extends Omit<DashboardResource, 'spec'> {
  spec: Omit<DashboardResource['spec'], 'panels' | 'variables'> & {
    panels: Record<string, Panel>;
    variables: Variable[];
  };
}
