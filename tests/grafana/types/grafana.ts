// A dashboard of Grafana's schema v2, with the options of the panels that we use: all of them are optional there.
import type { PanelSpec, Spec } from '@grafana/schema/apis/dashboard.grafana.app/v2';
import type * as BarGauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as Heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as StateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as Text from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Part<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Part<Item>[]
    : T extends object
      ? { [Key in keyof T]?: Part<T[Key]> }
      : T;

type FieldConfig = PanelSpec['vizConfig']['spec']['fieldConfig'];

interface Look<Group extends string, Options, Custom = {}> {
  kind: 'VizConfig';
  group: Group;
  version: string;
  spec: {
    options: Part<Options>;
    fieldConfig: Omit<FieldConfig, 'defaults'> & {
      defaults: Omit<FieldConfig['defaults'], 'custom'> & { custom?: Part<Custom> };
    };
  };
}

type AnyLook =
  | Look<'bargauge', BarGauge.Options>
  | Look<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
  | Look<'stat', Stat.Options>
  | Look<'state-timeline', StateTimeline.Options, StateTimeline.FieldConfig>
  | Look<'table', Table.Options, Table.FieldConfig>
  | Look<'text', Text.Options>
  | Look<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>;

interface Panel {
  kind: 'Panel';
  spec: Omit<PanelSpec, 'vizConfig'> & { vizConfig: AnyLook };
}

export interface Board {
  apiVersion: 'dashboard.grafana.app/v2';
  kind: 'Dashboard';
  metadata: { name: string };
  spec: Omit<Spec, 'elements'> & { elements: Record<string, Panel> };
}
